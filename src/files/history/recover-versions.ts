import { lstat, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { contentChange } from '../content-change.ts'
import { fingerprintOf, sameContent } from '../fingerprint.ts'
import type { FileIndex, UploadIntent } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import { entriesOf, touched } from '../store/serve-links.ts'
import { isMissing } from '../store/storage-fault.ts'
import { unlinkIfThere } from '../store/unlink-if-there.ts'
import { temporaryId } from '../uploads/temporary-file.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { inodeKey } from '../watch/move-pairs.ts'
import { versionOf } from './version-keeper.ts'
import type { FileVersion } from './version-records.ts'

/** What a finished upload had kept of the content that it replaced; undefined when it kept none. */
export async function keptBy(
  { id }: UploadIntent,
  volume: Volume,
  former: IndexEntry,
  index: FileIndex,
): Promise<FileVersion | undefined> {
  const kept = await keptFile(volume, id)
  if (kept === undefined || !sameContent(former.fingerprint, kept.fingerprint)) return undefined
  const others = await index.versions.of(former.path)
  return versionOf(id, former, kept.fingerprint, others, false, kept.sinceMs)
}

/** The version that a finished upload restored. What is left of its name among the versions is removed. */
export async function restoredBy(
  { path, dev, ino }: UploadIntent,
  volume: Volume,
  index: FileIndex,
): Promise<FileVersion | undefined> {
  const isIt = ({ fingerprint }: FileVersion) => fingerprint.dev === dev && fingerprint.ino === ino
  const version = (await index.versions.of(path)).find(isIt)
  const kept = version && (await keptFile(volume, version.id))
  if (kept?.fingerprint.dev === dev && kept.fingerprint.ino === ino) await unlinkIfThere(kept.file)
  return version
}

/**
 * Brings files and records of versions together after a crash, when the intents of uploads are dealt with:
 * a delete whose content was taken away and which was not recorded is recorded and told, a content that was
 * about to be replaced is left where it is, and what belongs to nobody is removed.
 */
export async function recoverVersions(
  volumes: Volumes,
  volume: Volume,
  index: FileIndex,
): Promise<void> {
  const orphans = await versionFiles(volume)
  const lost: string[] = []
  for await (const { id, path } of allVersions(index)) {
    if (volumes.of(path) === volume && !orphans.delete(id)) lost.push(id)
  }
  if (lost.length > 0) await index.apply({ drop: lost, changes: [] })
  if (orphans.size === 0) return
  const byInode = new Map<string, string>()
  for (const [id, file] of orphans) {
    byInode.set(inodeKey(fingerprintOf(await lstat(file, { bigint: true }))), id)
  }
  for await (const entry of entriesOf(index, volume.prefix)) {
    const id = byInode.get(inodeKey(entry.fingerprint))
    const kept = id === undefined ? undefined : await keptFile(volume, id)
    if (id === undefined || kept === undefined || volumes.of(entry.path) !== volume) continue
    if (!sameContent(entry.fingerprint, kept.fingerprint)) continue
    if (await adopt(id, volume, index, entry, kept)) orphans.delete(id)
  }
  for (const file of orphans.values()) await unlinkIfThere(file)
}

interface KeptFile {
  readonly file: string
  readonly fingerprint: FileVersion['fingerprint']
  /** When it came among the versions. */
  readonly sinceMs: number
}

/** @returns true when the file is a version now */
async function adopt(
  id: string,
  volume: Volume,
  index: FileIndex,
  entry: IndexEntry,
  kept: KeptFile,
): Promise<boolean> {
  await using place = await volume.findPlace(entry.path, 'read')
  const visible = await place?.stat()
  if (visible !== undefined && inodeKey(fingerprintOf(visible)) === inodeKey(kept.fingerprint)) {
    // It was linked and never replaced.
    await unlink(kept.file)
    const after = await place?.stat()
    const put = after === undefined ? undefined : touched(entry, fingerprintOf(after))
    if (put !== undefined) await index.apply({ put: [put], changes: [] })
    return false
  }
  const isGone = visible === undefined
  const others = await index.versions.of(entry.path)
  const keep = [versionOf(id, entry, kept.fingerprint, others, isGone, kept.sinceMs)]
  const changes = [contentChange('FILE DELETED', entry, 'upload')]
  await index.apply(isGone ? { remove: [entry.path], keep, changes } : { keep, changes: [] })
  return true
}

async function keptFile(volume: Volume, id: string): Promise<KeptFile | undefined> {
  const file = await volume.versionFile(id)
  if (file === undefined) return undefined
  try {
    const stats = await lstat(file, { bigint: true })
    const sinceMs = Number(stats.ctimeNs / 1_000_000n)
    return { file, fingerprint: fingerprintOf(stats), sinceMs }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** By id. */
async function versionFiles(volume: Volume): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const { directory, prefix = '' } = (await volume.versionDirectory()) ?? {}
  if (directory === undefined) return found
  for (const name of await readdir(directory)) {
    const id = temporaryId(name, prefix)
    if (id !== undefined) found.set(id, join(directory, name))
  }
  return found
}

async function* allVersions(index: FileIndex): AsyncGenerator<FileVersion> {
  for (let after = ''; ; ) {
    const page = await index.versions.below('', after, 500)
    yield* page
    const last = page.at(-1)
    if (last === undefined) return
    after = last.path
  }
}
