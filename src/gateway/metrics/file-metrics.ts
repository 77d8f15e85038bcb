import type { FileChange } from '../../files/file-change.ts'
import type { TellChanges } from '../../files/index/file-index.ts'
import { freeBytesAt } from '../../files/uploads/free-space.ts'
import type { OpenFiles } from '../open-files.ts'
import type { Metrics } from './metrics.ts'

/** Counts the changes that are told. */
export function countChanges<Companion>(
  metrics: Metrics,
  tell: TellChanges<Companion>,
): TellChanges<Companion> {
  const changed = metrics.counter({
    name: 'databroker_file_changes_total',
    help: 'Changes of files that were told, by what happened and how it was noticed.',
    labels: ['kind', 'origin'],
  })
  const bytes = metrics.counter({
    name: 'databroker_upload_bytes_total',
    help: 'Bytes of files that were uploaded and stored.',
  })
  return async (changes, companions) => {
    const positions = await tell(changes, companions)
    for (const { type, origin, size } of changes) {
      changed.inc({ kind: KINDS[type], origin })
      if (origin === 'upload' && type !== 'FILE DELETED') bytes.inc(size)
    }
    return positions
  }
}

const KINDS: Readonly<Record<FileChange['type'], string>> = {
  'FILE CREATED': 'created',
  'FILE UPDATED': 'updated',
  'FILE DELETED': 'deleted',
  'FILE REJECTED': 'rejected',
}

/** The files, the disk under them, and the watch over them. */
export function showFiles(
  metrics: Metrics,
  files: OpenFiles,
  directories: { readonly files: string; readonly data: string },
): void {
  metrics.gauge(
    { name: 'databroker_files_bytes', help: 'Bytes of the files in the index.' },
    (set) => set(files.totalBytes()),
  )
  metrics.gauge(
    { name: 'databroker_file_versions', help: 'Former contents of files that are kept.' },
    async (set) => set((await files.versionUsage()).count),
  )
  metrics.gauge({ name: 'databroker_file_versions_bytes', help: 'Bytes of them.' }, async (set) =>
    set((await files.versionUsage()).bytes),
  )
  const free = {
    name: 'databroker_disk_free_bytes',
    help: 'Bytes that are free where the files and the state of the broker lie.',
    labels: ['place'],
  } as const
  metrics.gauge(free, async (set) => {
    for (const [place, directory] of Object.entries(directories)) {
      const bytes = await freeBytesAt(directory).catch(() => undefined)
      if (bytes !== undefined) set(bytes, { place })
    }
  })
  const state = {
    name: 'databroker_watch_state',
    help: '1 for the state in which the watch over the files is.',
    labels: ['state'],
  } as const
  metrics.gauge(state, (set) => set(1, { state: files.watchStatus().state }))
  const directoriesWatched = {
    name: 'databroker_watch_directories',
    help: 'Directories that are watched, and those that only scans look at.',
    labels: ['watched'],
  } as const
  metrics.gauge(directoriesWatched, (set) => {
    const { watched, unwatched } = files.watchStatus().coverage
    set(watched, { watched: 'true' })
    set(unwatched, { watched: 'false' })
  })
  showWatch(metrics, files)
}

function showWatch(metrics: Metrics, files: OpenFiles): void {
  metrics.gauge(
    { name: 'databroker_watch_pending_paths', help: 'Paths that may differ, not told yet.' },
    (set) => set(files.watchStatus().pending),
  )
  metrics.gauge(
    { name: 'databroker_watch_left_out_files', help: 'Files not told for a foreign hard link.' },
    (set) => set(files.watchStatus().leftOut),
  )
  metrics.total(
    { name: 'databroker_watch_rescans_total', help: 'Scans because events were lost.' },
    (set) => set(files.watchStatus().rescans),
  )
  metrics.gauge(
    { name: 'databroker_watch_scan_seconds', help: 'How long the last scan took.' },
    (set) => {
      const { lastScan } = files.watchStatus()
      if (lastScan !== undefined) set(lastScan.durationMs / 1000)
    },
  )
  const met = {
    name: 'databroker_watch_scan_entries',
    help: 'What the last scan met; all but files and directories is not served.',
    labels: ['kind'],
  } as const
  metrics.gauge(met, (set) => {
    const { lastScan } = files.watchStatus()
    if (lastScan === undefined) return
    for (const kind of ['files', 'directories', 'unaddressable', 'links', 'special'] as const) {
      set(lastScan[kind], { kind })
    }
    set(lastScan.unreadable, { kind: 'unreadable' })
  })
}
