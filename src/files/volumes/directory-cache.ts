import type { ConfinedDirectory } from './confined-directory.ts'

interface Recent {
  readonly directory: ConfinedDirectory
  readonly location: string
  readonly timer: NodeJS.Timeout
}

const MAX_ENTRIES = 64

/** Not longer: an open directory keeps its disk from being unmounted. */
const MAX_AGE_MS = 1000

/**
 * Directories that were walked to lately. Many uploads go to few directories, and the walk is most of the
 * file operations of a small one. A directory that was moved since is not given out: the kernel says
 * where it is.
 */
export class DirectoryCache {
  readonly #entries = new Map<string, Recent>()

  /** The caller disposes of it. */
  async get(key: string): Promise<ConfinedDirectory | undefined> {
    const recent = this.#entries.get(key)
    if (recent === undefined) return undefined
    const directory = recent.directory.retain()
    if (directory.location() === recent.location) return directory
    await directory[Symbol.asyncDispose]()
    if (this.#entries.get(key) === recent) this.#drop(key, recent)
    return undefined
  }

  /** The caller still owns what it gives. */
  put(key: string, directory: ConfinedDirectory): void {
    const location = directory.location()
    if (location === undefined) return
    const former = this.#entries.get(key)
    if (former !== undefined) this.#drop(key, former)
    const timer = setTimeout(() => this.#drop(key, recent), MAX_AGE_MS).unref()
    const recent: Recent = { directory: directory.retain(), location, timer }
    this.#entries.set(key, recent)
    const [oldest] = this.#entries
    if (oldest !== undefined && this.#entries.size > MAX_ENTRIES) this.#drop(...oldest)
  }

  #drop(key: string, recent: Recent): void {
    if (this.#entries.get(key) === recent) this.#entries.delete(key)
    clearTimeout(recent.timer)
    // Nothing was written by this descriptor itself: that it cannot be closed harms nobody.
    recent.directory[Symbol.asyncDispose]().catch(() => undefined)
  }
}
