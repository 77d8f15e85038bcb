import type { FilePath } from '../protocol/file-path.ts'

/** How the broker came to know: by an upload, by the watcher, or by the scan at start. */
export type ChangeOrigin = 'upload' | 'disk' | 'offline'

/** A fault that a validator found; `line` and `column` from 1. Never quotes content. */
export interface ContentFault {
  readonly message: string
  readonly line?: number
  readonly column?: number
}

/** One difference between what was and what is, to be told by exactly one event. */
export interface FileChange {
  readonly type: 'FILE CREATED' | 'FILE UPDATED' | 'FILE DELETED' | 'FILE REJECTED'
  readonly path: FilePath
  /** Bytes of the content that is (of a deleted file: was) there. */
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  /** With its quotes. */
  readonly etag: string
  /** When the content was last written, ISO 8601. */
  readonly modified: string
  readonly origin: ChangeOrigin
  readonly movedFrom?: FilePath
  readonly movedTo?: FilePath
  readonly errors?: readonly ContentFault[]
}
