import type { FilePath } from '../../protocol/file-path.ts'
import type { Fingerprint } from '../fingerprint.ts'

/** What was last told of a file. */
export interface IndexEntry {
  readonly path: FilePath
  readonly fingerprint: Fingerprint
  /** Lower-case hex. */
  readonly sha256: string
  /** Whose upload the content came by, `''` for anonymous; undefined for one that was put on disk. */
  readonly uploader?: string | undefined
}
