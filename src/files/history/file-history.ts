import type { FilePath } from '../../protocol/file-path.ts'
import type { CommittedFile, OpenFile, WriteGuard } from '../store/file-store.ts'
import type { FileVersion } from './version-records.ts'

/** What files were before. Only `DiskFileStore` has one: a store in memory keeps nothing. */
export interface FileHistory {
  /** The former contents of a path that are kept, newest first. */
  versions(path: FilePath): Promise<readonly FileVersion[]>
  /**
   * Paths below a directory that have versions and no present content, in order: of each the newest.
   *
   * @param directory - `''` for the root
   * @param after - only greater paths
   */
  deleted(directory: FilePath | '', after: string): AsyncIterable<FileVersion>
  /** The caller disposes of it. @returns undefined when there is no such version (any more) */
  open(path: FilePath, id: string): Promise<OpenFile | undefined>
  /**
   * Makes a version the present content, told as an upload is. It is no version any more then, and what
   * it replaces becomes one as the policy says.
   *
   * @returns undefined when there is no such version (any more)
   * @throws what the guard throws; {BrokerError} `CONTENT_INVALID`, `PATH_CONFLICT`, `READ_ONLY`,
   *   `QUOTA_EXCEEDED`
   */
  restore(path: FilePath, id: string, options: RestoreOptions): Promise<CommittedFile | undefined>
}

export interface RestoreOptions {
  readonly guard: WriteGuard
  readonly confirmShrink: boolean
  /** Whose the content will be, `''` for anonymous. */
  readonly uploader: string
}
