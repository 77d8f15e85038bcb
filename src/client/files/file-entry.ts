/** One line of a listing. */
export interface FileEntry {
  /** Below the directory that was listed; with `recursive` a path of several segments. */
  readonly name: string
  readonly type: 'file' | 'directory'
  /** Bytes; null for a directory. */
  readonly size: number | null
  /** ISO 8601; null for a directory. */
  readonly modified: string | null
  /** With its quotes; null for a directory, and for a file that is not hashed yet. */
  readonly etag: string | null
}

export interface FileListing {
  readonly path: string
  readonly entries: readonly FileEntry[]
  /** The cursor of the next page; null on the last. */
  readonly next: string | null
}
