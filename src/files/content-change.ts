import type { FilePath } from '../protocol/file-path.ts'
import type { ChangeOrigin, FileChange } from './file-change.ts'
import type { IndexEntry } from './index/index-entry.ts'
import { entityTagOf } from './store/entity-tag.ts'

/** What only some changes carry. */
export type ChangeDetails = Pick<FileChange, 'movedFrom' | 'movedTo' | 'errors'>

/** The change that tells of the content in `entry`: that it is there now, was refused, or was deleted. */
export function contentChange(
  type: FileChange['type'],
  { path, fingerprint, sha256 }: IndexEntry,
  origin: ChangeOrigin,
  details: ChangeDetails = {},
): FileChange {
  const { size, mtimeNs } = fingerprint
  const etag = entityTagOf(sha256)
  return { type, path, size, sha256, etag, modified: isoTime(mtimeNs), origin, ...details }
}

/** A DELETED and the CREATED (or UPDATED) that it became, which name each other. */
export function moveChanges(
  gone: IndexEntry,
  arrived: IndexEntry,
  replaced: IndexEntry | undefined,
  origin: ChangeOrigin,
): readonly [FileChange, FileChange] {
  const movedTo: FilePath = arrived.path
  const movedFrom: FilePath = gone.path
  const type = replaced === undefined ? 'FILE CREATED' : 'FILE UPDATED'
  return [
    contentChange('FILE DELETED', gone, origin, { movedTo }),
    contentChange(type, arrived, origin, { movedFrom }),
  ]
}

/** The last moment that `Date` can write; `touch -d` can set times beyond it. */
const LAST_MS = 8.64e15

/** ISO 8601. */
export function isoTime(timeNs: bigint): string {
  const timeMs = Number(timeNs / 1_000_000n)
  return new Date(Math.max(-LAST_MS, Math.min(LAST_MS, timeMs))).toISOString()
}
