import type { FilePath } from '../../protocol/file-path.ts'
import type { IndexEntry } from './index-entry.ts'

/**
 * The entries that were asked for or written last, so that serving a file needs no query. It also knows
 * which paths have no entry. Never older than the last write of which it was told.
 */
export class RecentEntries {
  readonly #limit: number
  /** In the order of their last use. */
  readonly #entries = new Map<FilePath, IndexEntry | undefined>()
  readonly #reading = new Map<FilePath, Promise<IndexEntry | undefined>>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** @param read - asks for an entry that is not at hand; shared by all who wait for it */
  get(
    path: FilePath,
    read: () => Promise<IndexEntry | undefined>,
  ): Promise<IndexEntry | undefined> {
    if (this.#entries.has(path)) {
      const entry = this.#entries.get(path)
      this.#keep(path, entry)
      return Promise.resolve(entry)
    }
    return this.#reading.get(path) ?? this.#read(path, read)
  }

  set(path: FilePath, entry: IndexEntry | undefined): void {
    this.#reading.delete(path)
    this.#keep(path, entry)
  }

  /** Nothing is known of these paths any more; what is being read of them will not be kept. */
  forget(paths: readonly FilePath[]): void {
    for (const path of paths) {
      this.#entries.delete(path)
      this.#reading.delete(path)
    }
  }

  #read(
    path: FilePath,
    read: () => Promise<IndexEntry | undefined>,
  ): Promise<IndexEntry | undefined> {
    const reading: Promise<IndexEntry | undefined> = read().then(
      (entry) => {
        if (this.#reading.get(path) === reading) this.set(path, entry)
        return entry
      },
      (error: unknown) => {
        if (this.#reading.get(path) === reading) this.#reading.delete(path)
        throw error
      },
    )
    this.#reading.set(path, reading)
    return reading
  }

  #keep(path: FilePath, entry: IndexEntry | undefined): void {
    this.#entries.delete(path)
    this.#entries.set(path, entry)
    if (this.#entries.size <= this.#limit) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }
}
