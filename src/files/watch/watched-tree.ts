import { type BigIntStats, lstatSync } from 'node:fs'
import { dirname } from 'node:path'

interface Watched {
  /** Tells a directory from another one that took its name. */
  readonly identity: string
  /** Its watch has ended, and those below have not. */
  isLost: boolean
  readonly below: Set<string>
}

/** The directories that are watched, by their absolute paths. */
export class WatchedTree {
  readonly #watched = new Map<string, Watched>()

  get size(): number {
    return this.#watched.size
  }

  all(): Iterable<string> {
    return this.#watched.keys()
  }

  /** True for one whose watch has ended, too. */
  knows(directory: string): boolean {
    return this.#watched.has(directory)
  }

  has(directory: string): boolean {
    return this.#watched.get(directory)?.isLost === false
  }

  /** The watch of one directory has ended. */
  lose(directory: string): void {
    const watched = this.#watched.get(directory)
    if (watched !== undefined) watched.isLost = true
  }

  /** True when the directory that is watched under this name is not the one that `stats` are of. */
  isReplaced(directory: string, stats: BigIntStats): boolean {
    const watched = this.#watched.get(directory)
    return watched !== undefined && watched.identity !== identityOf(stats)
  }

  add(directory: string, stats: BigIntStats): void {
    const below = this.#watched.get(directory)?.below ?? new Set()
    this.#watched.set(directory, { identity: identityOf(stats), isLost: false, below })
    this.#watched.get(dirname(directory))?.below.add(directory)
  }

  /** Forgets a directory and all below it. @returns those that were watched */
  remove(directory: string): readonly string[] {
    this.#watched.get(dirname(directory))?.below.delete(directory)
    const removed: string[] = []
    const queue = [directory]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const watched = this.#watched.get(next)
      if (watched === undefined) continue
      this.#watched.delete(next)
      removed.push(next)
      queue.push(...watched.below)
    }
    return removed
  }
}

/**
 * What is at a path itself; undefined when nothing is, and also where that cannot be told: a hint is where
 * to look, and whoever looks closer finds out.
 */
export function statsAt(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true })
  } catch {
    return undefined
  }
}

/** Inode numbers are used again at once; the time of birth, where there is one, tells them apart. */
function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`
}
