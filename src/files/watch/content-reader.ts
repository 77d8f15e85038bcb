import type { FilePath } from '../../protocol/file-path.ts'
import type { ReceivedContent } from '../content-validator.ts'
import type { Fingerprint } from '../fingerprint.ts'

/** A regular file as it is on disk. */
export interface FileLook {
  readonly fingerprint: Fingerprint
  /** It has names beside this one that are not the broker's own: hard links of somebody else. */
  readonly isShared: boolean
}

/** The digest of a content, and what the file was before and after it was read. */
export interface HashedContent {
  /** Lower-case hex. */
  readonly sha256: string
  readonly before: Fingerprint
  readonly after: Fingerprint
}

/** A content that nobody edits while it is judged. Disposing of it discards it, unless it is kept. */
export interface ContentCopy extends ReceivedContent, AsyncDisposable {
  /** Makes it what is served of its path when what is on disk is not accepted. */
  keep(): Promise<void>
}

/**
 * Looks at the files of a volume as they are on disk. Symbolic links are followed nowhere on the way, so
 * that nothing outside the volume is ever read. Each method rejects when it cannot tell (no permission, a
 * failing disk): that is not the same as "there is none".
 */
export interface ContentReader {
  /** @returns undefined when no regular file is there */
  look(path: FilePath): Promise<FileLook | undefined>
  /** Reads it whole, off the main thread. @returns undefined when no regular file is there */
  hash(path: FilePath): Promise<HashedContent | undefined>
  /** Copies a file that is to be judged. @returns undefined when no regular file is there */
  copy(path: FilePath): Promise<ContentCopy | undefined>
  /** Lets go of the copies that were kept of a path, except of the one content that is accepted. */
  retain(path: FilePath, sha256: string | undefined): Promise<void>
}
