import type { FilePath } from '../protocol/file-path.ts'
import type { ContentFault } from './file-change.ts'

/** A content that was received whole and is not yet visible to anybody. */
export interface ReceivedContent {
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  /** A file that holds it, for external commands; undefined where the store has no disk. */
  readonly file: string | undefined
  bytes(): Promise<Buffer>
}

export interface ValidationContext {
  readonly path: FilePath
  /** The uploader confirmed that much of the former content vanishes (`X-Confirm-Shrink: true`). */
  readonly confirmShrink: boolean
}

/** Judges the content of some files before it is accepted. */
export interface ContentValidator {
  /** True for the files it judges. */
  matches(path: FilePath): boolean
  /** @returns what is wrong with the content; nothing when it is accepted */
  validate(content: ReceivedContent, context: ValidationContext): Promise<readonly ContentFault[]>
}
