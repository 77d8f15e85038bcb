/** One line of a listing. */
export interface FileEntry {
  /** Below the directory that was listed; with `recursive` a path of several segments. */
  readonly name: string
  readonly type: 'file' | 'directory'
  /** Bytes; of files. */
  readonly size?: number
  /** ISO 8601; of files. */
  readonly modified?: string
  /** With its quotes; of files that are hashed. */
  readonly etag?: string
}

export interface FileListing {
  readonly path: string
  readonly entries: readonly FileEntry[]
  /** The cursor of the next page. */
  readonly next?: string | null
}
