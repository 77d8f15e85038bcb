import { type BigIntStats, readdirSync, realpathSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { isMissing } from '../store/storage-fault.ts'
import type { TreeNames } from './tree-names.ts'
import type { DirectoryWatches } from './watch-directories.ts'
import type { WatchCoverage } from './watch-messages.ts'
import { statsAt, WatchedTree } from './watched-tree.ts'

export interface TreeCoverageOptions {
  /** Of the volume; a symbolic link here is followed. */
  readonly root: string
  readonly maxWatches: number
}

/** Directories listed before the thread looks at its events again. */
const LISTED_AT_ONCE = 10

/** Limits of the system, which no further directory will pass either. */
const EXHAUSTED = new Set(['ENOSPC', 'EMFILE', 'ENFILE', 'ENOMEM'])

/** Gone, by now a file or a link, or closed to us: a scan would not see more. */
const BEYOND_US = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM'])

/**
 * Keeps every directory of a tree watched. A directory is watched before it is listed, so that nothing
 * falls between: what is not listed is an event.
 */
export class TreeCoverage {
  readonly #options: TreeCoverageOptions
  readonly #names: TreeNames
  readonly #watches: DirectoryWatches
  readonly #watched = new WatchedTree()
  readonly #unwatched = new Map<string, string>()
  #root = ''
  #exhausted: string | undefined

  constructor(options: TreeCoverageOptions, names: TreeNames, watches: DirectoryWatches) {
    this.#options = options
    this.#names = names
    this.#watches = watches
  }

  /** On disk, without symbolic links; `''` before the first `coverAll`. */
  get root(): string {
    return this.#root
  }

  get coverage(): WatchCoverage {
    const [reason] = this.#unwatched.values()
    return {
      watched: this.#watched.size,
      unwatched: this.#unwatched.size,
      ...(reason !== undefined && { reason }),
    }
  }

  /**
   * Watches all that is not watched yet and forgets what is gone.
   *
   * @param fresh - forgets all first: after an unmount no watch is alive
   * @throws ENOENT when the tree is not there
   */
  async coverAll(fresh: boolean): Promise<void> {
    const root = realpathSync(this.#options.root)
    if ((fresh || root !== this.#root) && this.#root !== '') this.forget(this.#root)
    this.#root = root
    this.#exhausted = undefined
    this.#unwatched.clear()
    const visited = await this.coverBelow([root])
    for (const directory of [...this.#watched.all()]) {
      if (!visited.has(directory)) this.forget(directory)
    }
  }

  /**
   * Watches directories and all below them, and forgets those that are gone.
   *
   * @returns all that were met
   */
  async coverBelow(directories: readonly string[]): Promise<ReadonlySet<string>> {
    const queue = [...directories]
    for (let next = 0; next < queue.length; ) {
      const some = queue.slice(next, next + LISTED_AT_ONCE)
      next += some.length
      await this.#watch(some)
      for (const directory of some) queue.push(...this.#directoriesIn(directory))
      await nextTurn()
    }
    return new Set(queue)
  }

  /** True while this very directory is watched. */
  isCovered(directory: string, stats: BigIntStats): boolean {
    return this.#watched.has(directory) && !this.isReplaced(directory, stats)
  }

  /** The watch of a directory has ended; `coverBelow` watches it again. */
  lose(directory: string): void {
    this.#watched.lose(directory)
  }

  /** True while it is watched, or was until its watch ended. */
  knows(directory: string): boolean {
    return this.#watched.knows(directory)
  }

  /** True when another directory took the name of one that is known. */
  isReplaced(directory: string, stats: BigIntStats): boolean {
    return this.#watched.isReplaced(directory, stats)
  }

  /** Stops watching a directory and all below it. */
  forget(directory: string): void {
    this.#watches.remove(this.#watched.remove(directory))
  }

  /** The path of a directory on disk. */
  pathOf(directory: string): string {
    const relative = directory.slice(this.#root.length + 1)
    return [this.#names.prefix, relative].filter((part) => part !== '').join('/')
  }

  async #watch(directories: readonly string[], isRetry = false): Promise<void> {
    const found = directories.flatMap((directory) => {
      const stats = statsAt(directory)
      const isDirectory = stats?.isDirectory() === true
      if (!isDirectory || this.#watched.isReplaced(directory, stats)) this.forget(directory)
      if (!isDirectory) return []
      return this.#watched.has(directory) ? [] : [{ directory, stats }]
    })
    if (this.#watched.size + found.length > this.#options.maxWatches) this.#exhausted ??= 'ENOSPC'
    const exhausted = this.#exhausted
    const failures =
      exhausted === undefined
        ? await this.#watches.add(found.map(({ directory }) => directory))
        : undefined
    const again: string[] = []
    for (const { directory, stats } of found) {
      const code = failures === undefined ? exhausted : failures.get(directory)
      if (code === undefined) {
        this.#watched.add(directory, stats)
        continue
      }
      this.forget(directory)
      if (EXHAUSTED.has(code)) this.#exhausted = code
      if (BEYOND_US.has(code)) continue
      if (isRetry || EXHAUSTED.has(code)) this.#unwatched.set(directory, code)
      else again.push(directory)
    }
    // One that was swapped for a link and back while it was opened fails in strange ways, once.
    if (again.length > 0) await this.#watch(again, true)
  }

  /** Directories to watch in one; none in one that is gone or cannot be read. */
  #directoriesIn(directory: string): readonly string[] {
    const path = this.pathOf(directory)
    try {
      return readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && !this.#names.isHidden(path, entry.name))
        .filter(({ name }) => this.#names.pathOf(path, name) !== undefined)
        .map(({ name }) => `${directory}/${name}`)
    } catch (error) {
      if (isMissing(error)) this.forget(directory)
      return []
    }
  }
}
