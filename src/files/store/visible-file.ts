import type { BigIntStats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { fingerprintOf, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex, IndexEntry } from '../index/file-index.ts'
import type { Place } from '../volumes/volume.ts'
import { entityTagOf } from './entity-tag.ts'
import type { KnownFile } from './file-store.ts'
import { isMissing } from './storage-fault.ts'

/** How many names of a file, by device and inode, are the broker's own beside the visible one. */
export type OwnLinks = (dev: bigint, ino: bigint) => number

/** What is at a place and what was told of it. */
export interface VisibleState {
  readonly file: KnownFile | undefined
  readonly stats: BigIntStats | undefined
  readonly entry: IndexEntry | undefined
}

/**
 * True for a file that may be served: a regular one, all of whose names are known. A hard link made by
 * somebody else would let a file from outside of the volume be read, or be written by its other name.
 */
export function isServable(stats: BigIntStats, ownLinks: OwnLinks): boolean {
  return stats.isFile() && Number(stats.nlink) <= 1 + ownLinks(stats.dev, stats.ino)
}

/** What callers know of a file; without digest when what is on disk is not what was told. */
export function knownFile(
  path: FilePath,
  stats: BigIntStats,
  entry: IndexEntry | undefined,
): KnownFile {
  const isTold = entry !== undefined && sameFingerprint(entry.fingerprint, fingerprintOf(stats))
  const sha256 = isTold ? entry.sha256 : undefined
  return {
    path,
    size: Number(stats.size),
    modifiedMs: Number(stats.mtimeNs / 1_000_000n),
    sha256,
    etag: sha256 === undefined ? undefined : entityTagOf(sha256),
  }
}

/**
 * Compares disk and index for a writer that holds the lock of the path. An edit on disk that was not told
 * yet is told first, so that the history has no hole.
 *
 * @param place - undefined when the directory of the path is not there
 * @param reconcile - tells what is on disk; may leave it untold, when it has not settled
 * @throws {BrokerError} `PATH_CONFLICT` when what is there is no file of ours to replace
 */
export async function inspect(
  path: FilePath,
  place: Place | undefined,
  index: FileIndex,
  ownLinks: OwnLinks,
  reconcile: (path: FilePath) => Promise<void>,
): Promise<VisibleState> {
  const first = await look(path, place, index, ownLinks)
  const isTold =
    first.stats === undefined ? first.entry === undefined : first.file?.sha256 !== undefined
  if (isTold) return first
  await reconcile(path)
  return look(path, place, index, ownLinks)
}

async function look(
  path: FilePath,
  place: Place | undefined,
  index: FileIndex,
  ownLinks: OwnLinks,
): Promise<VisibleState> {
  const entry = await index.get(path)
  const stats = await statOf(place)
  if (stats === undefined) return { file: undefined, stats, entry }
  if (!isServable(stats, ownLinks)) {
    const what = stats.isDirectory() ? 'a directory' : 'something that is not served'
    throw new BrokerError('PATH_CONFLICT', `${what} has this name`)
  }
  return { file: knownFile(path, stats, entry), stats, entry }
}

/** Never follows a link. @returns undefined when there is nothing of that name */
export async function statOf(place: Place | undefined): Promise<BigIntStats | undefined> {
  if (place === undefined) return undefined
  try {
    return await lstat(place.directory.at(place.name), { bigint: true })
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
