import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { contentChange } from '../content-change.ts'
import type { FileChange } from '../file-change.ts'
import { fingerprintOf } from '../fingerprint.ts'
import { keptBy, recoverVersions, restoredBy } from '../history/recover-versions.ts'
import type { FileVersion } from '../history/version-records.ts'
import type { FileIndex, UploadIntent } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import { sweepServeLinks } from '../store/serve-links.ts'
import { isMissing } from '../store/storage-fault.ts'
import type { Place } from '../volumes/place.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { temporaryId } from './temporary-file.ts'

export interface RecoveryReport {
  /** Uploads whose rename had happened, or which belong to a batch with such a one: told now. */
  readonly finished: number
  /** Uploads that never became visible: discarded. */
  readonly discarded: number
}

/**
 * Brings uploads that a crash interrupted to their end, before anything else looks at the volumes. A
 * batch of which one file became visible is finished, for readers may have seen it and what it replaced
 * is gone; any other is discarded. Then brings versions and their records together, and removes temporary
 * files and serve-links that nobody needs.
 *
 * Volumes that are offline are left as they are.
 *
 * @param resumable - ids of temporary files that stay, because their content is still to come
 */
export async function recoverUploads(
  volumes: Volumes,
  index: FileIndex,
  resumable: ReadonlySet<string> = new Set(),
): Promise<RecoveryReport> {
  const online = new Set<Volume>()
  for (const volume of volumes.all) if (await volume.isOnline()) online.add(volume)
  const batches = Map.groupBy(await index.openIntents(), ({ batch }) => batch)
  let [finished, discarded] = [0, 0]
  const kept = new Set(resumable)
  for (const intents of batches.values()) {
    const isReachable = intents.every(({ path }) => online.has(volumes.of(path) as Volume))
    if (!isReachable) {
      for (const { id } of intents) kept.add(id)
      continue
    }
    const done = await recoverBatch(volumes, index, intents)
    finished += done
    discarded += intents.length - done
  }
  for (const volume of online) {
    await sweepTemporaryFiles(volume, kept)
    await recoverVersions(volumes, volume, index)
    await sweepServeLinks(volume, index)
  }
  return { finished, discarded }
}

/** @returns how many uploads of the batch are visible now */
async function recoverBatch(
  volumes: Volumes,
  index: FileIndex,
  intents: readonly UploadIntent[],
): Promise<number> {
  const visible = new Set<UploadIntent>()
  for (const intent of intents) if (await isVisible(volumes, intent)) visible.add(intent)
  const put: IndexEntry[] = []
  const changes: FileChange[] = []
  const keep: FileVersion[] = []
  const drop: string[] = []
  for (const intent of visible.size === 0 ? [] : intents) {
    const volume = volumes.of(intent.path)
    const restored = volume && (await restoredBy(intent, volume, index))
    const entry = await finish(volumes, intent, visible.has(intent))
    if (entry === undefined) continue
    const former = await index.get(entry.path)
    put.push(entry)
    const replaced = volume && former && (await keptBy(intent, volume, former, index))
    if (replaced !== undefined) keep.push(replaced)
    if (restored !== undefined) drop.push(restored.id)
    if (former?.sha256 === entry.sha256) continue
    const type = former === undefined ? 'FILE CREATED' : 'FILE UPDATED'
    changes.push(contentChange(type, entry, 'upload'))
  }
  await index.apply({ put, keep, drop, fulfil: intents.map(({ id }) => id), changes })
  return put.length
}

/** True when the rename happened: the visible file is the temporary one, and whole. */
async function isVisible(volumes: Volumes, intent: UploadIntent): Promise<boolean> {
  await using place = await placeOf(volumes, intent)
  const stats = await place?.stat()
  if (place === undefined || stats?.dev !== intent.dev || stats.ino !== intent.ino) return false
  // An inode number is given again when its file is gone: the content decides.
  return (await digestOf(place)) === intent.sha256
}

/** Does what was left to do; undefined when the file was replaced on disk since. */
async function finish(
  volumes: Volumes,
  intent: UploadIntent,
  isVisibleNow: boolean,
): Promise<IndexEntry | undefined> {
  const volume = volumes.of(intent.path)
  await using place = await volume?.openPlace(intent.path, 'make')
  if (volume === undefined || place === undefined) return undefined
  const temporary = await temporaryOf(volume, intent)
  if (temporary !== undefined) {
    // A link was made and its first name not yet removed, or the turn of this file had not come.
    if (isVisibleNow) await unlink(temporary)
    else await rename(temporary, place.file)
  } else if (!isVisibleNow) {
    return undefined
  }
  await place.directory.sync()
  const stats = await place.stat()
  if (stats === undefined) return undefined
  const { path, sha256, uploader } = intent
  return { path, fingerprint: fingerprintOf(stats), sha256, uploader }
}

async function placeOf(volumes: Volumes, { path }: UploadIntent): Promise<Place | undefined> {
  try {
    return await volumes.of(path)?.findPlace(path, 'read')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function temporaryOf(volume: Volume, intent: UploadIntent): Promise<string | undefined> {
  const { directory, prefix } = await volume.temporaryDirectory()
  const file = join(directory, prefix + intent.id)
  try {
    const { dev, ino } = await lstat(file, { bigint: true })
    return dev === intent.dev && ino === intent.ino ? file : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function digestOf(place: Place): Promise<string> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  await using file = await open(place.file, flags)
  const hash = createHash('sha256')
  for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk)
  return hash.digest('hex')
}

async function sweepTemporaryFiles(volume: Volume, kept: ReadonlySet<string>): Promise<void> {
  const { directory, prefix } = await volume.temporaryDirectory()
  for (const name of await readdir(directory)) {
    const id = temporaryId(name, prefix)
    if (id !== undefined && !kept.has(id)) await unlink(join(directory, name))
  }
}
