import type { BigIntStats } from 'node:fs'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { Place } from '../volumes/place.ts'
import type { AcceptedContents } from './accepted-contents.ts'
import type { KnownFile } from './file-store.ts'
import { isTold } from './known-file.ts'

/** How many names of a file, by device and inode, are the broker's own beside the visible one. */
export type OwnLinks = (dev: bigint, ino: bigint) => number

/** What is at a place and what was told of it. */
export interface VisibleState {
  /** As callers know it. */
  readonly file: KnownFile | undefined
  readonly stats: BigIntStats | undefined
  readonly entry: IndexEntry | undefined
  /** What is there, or that nothing is, was told. */
  readonly isTold: boolean
}

export interface InspectDeps {
  readonly index: FileIndex
  readonly ownLinks: OwnLinks
  readonly accepted: AcceptedContents
  /** Tells what is on disk; may leave it untold, when it has not settled. */
  readonly reconcile: (path: FilePath) => Promise<void>
}

/**
 * True for a file that may be served: a regular one, all of whose names are known. A hard link made by
 * somebody else would let a file from outside of the volume be read, or be written by its other name.
 */
export function isServable(stats: BigIntStats, ownLinks: OwnLinks): boolean {
  return stats.isFile() && Number(stats.nlink) <= 1 + ownLinks(stats.dev, stats.ino)
}

/**
 * Compares disk and index for a writer that holds the lock of the path. An edit on disk that was not told
 * yet is told first, so that the history has no hole.
 *
 * @param place - undefined when the directory of the path is not there
 * @throws {BrokerError} `PATH_CONFLICT` when what is there is no file of ours to replace
 */
export async function inspect(
  path: FilePath,
  place: Place | undefined,
  deps: InspectDeps,
): Promise<VisibleState> {
  const first = await look(path, place, deps)
  if (first.isTold) return first
  await deps.reconcile(path)
  return look(path, place, deps)
}

async function look(
  path: FilePath,
  place: Place | undefined,
  { index, ownLinks, accepted }: InspectDeps,
): Promise<VisibleState> {
  const entry = await index.get(path)
  const stats = await place?.stat()
  if (stats === undefined) return { file: undefined, stats, entry, isTold: entry === undefined }
  if (!isServable(stats, ownLinks)) {
    const what = stats.isDirectory() ? 'a directory' : 'something that is not served'
    throw new BrokerError('PATH_CONFLICT', `${what} has this name`)
  }
  const file = await accepted.known(path, stats, entry)
  return { file, stats, entry, isTold: isTold(stats, entry) }
}
