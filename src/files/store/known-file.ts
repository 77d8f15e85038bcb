import type { BigIntStats } from 'node:fs'
import type { FilePath } from '../../protocol/file-path.ts'
import { fingerprintOf, sameFingerprint } from '../fingerprint.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import { entityTagOf } from './entity-tag.ts'
import type { KnownFile } from './file-store.ts'

/** What callers know of a file; without digest when what is on disk is not what was told. */
export function knownFile(
  path: FilePath,
  stats: BigIntStats,
  entry: IndexEntry | undefined,
): KnownFile {
  if (entry !== undefined && isTold(stats, entry)) return toldFile(entry)
  const { size, mtimeNs } = stats
  return { path, size: Number(size), modifiedMs: milliseconds(mtimeNs), ...UNTOLD }
}

/** What callers know of a file as it was told. */
export function toldFile({ path, fingerprint, sha256 }: IndexEntry): KnownFile {
  const { size, mtimeNs } = fingerprint
  return { path, size, modifiedMs: milliseconds(mtimeNs), sha256, etag: entityTagOf(sha256) }
}

/** True when what is on disk is what was told. */
export function isTold(stats: BigIntStats, entry: IndexEntry | undefined): boolean {
  return entry !== undefined && sameFingerprint(entry.fingerprint, fingerprintOf(stats))
}

const UNTOLD = { sha256: undefined, etag: undefined }

function milliseconds(timeNs: bigint): number {
  return Number(timeNs / 1_000_000n)
}
