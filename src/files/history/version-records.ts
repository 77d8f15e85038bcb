import type { FilePath } from '../../protocol/file-path.ts'
import type { IndexEntry } from '../index/index-entry.ts'

/** A former content of a path that is kept. The `ctime` of its fingerprint means nothing. */
export interface FileVersion extends IndexEntry {
  /** Names it in URLs, and its file among the versions of its volume. */
  readonly id: string
  /** When it ceased to be the present content. Of one path no two are the same. */
  readonly replacedMs: number
  /** True when the file was deleted rather than replaced. */
  readonly deleted: boolean
}

/** The space that versions take. */
export interface VersionUsage {
  readonly count: number
  readonly bytes: number
}

/**
 * Which former contents are kept. Written by `FileIndex.apply` alone, so that a version, the row of its
 * path and the event that tells the change come together or not at all.
 */
export interface VersionRecords {
  /** Newest first. */
  of(path: FilePath): Promise<readonly FileVersion[]>
  /**
   * All versions of the next paths below a directory that have any, by path in the order of UTF-8 bytes,
   * then newest first.
   *
   * @param directory - without trailing `/`; `''` for all
   * @param after - only greater paths
   * @param paths - of how many paths
   */
  below(directory: string, after: string, paths: number): Promise<readonly FileVersion[]>
  usage(): Promise<VersionUsage>
}
