import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import { comparePaths } from '../path-order.ts'
import { type TreeBatch, unpackFingerprint } from './tree-batch.ts'

export interface TreeDiffDeps {
  readonly index: FileIndex
  /** True for a path of this volume: another one may lie below the same directory of paths. */
  readonly owns: (path: FilePath) => boolean
  /** @param seen - what is there; null for a path that only the index knows */
  readonly hint: (path: FilePath, seen: Fingerprint | null) => void
  /** Resolves when more hints may come. */
  readonly accepts: () => Promise<void>
}

/** Entries of the index read at once. */
const PAGE = 1000

/**
 * Compares a walk of the tree with the index by merging two sorted streams, so that memory stays flat, and
 * hints at what differs. Both change while it goes on: what it says is only where to look.
 *
 * @param directory - path of the directory that is walked; `''` for all
 * @returns what the walk returns at its end
 */
export async function diffTree<Counts>(
  directory: string,
  walk: AsyncGenerator<TreeBatch, Counts>,
  deps: TreeDiffDeps,
): Promise<Counts> {
  const known = new IndexCursor(deps.index, directory)
  const unreadable: string[] = []
  const isUnknown = (path: string) =>
    unreadable.some((above) => path === above || above === '' || path.startsWith(`${above}/`))
  const missing = ({ path }: IndexEntry) => {
    if (deps.owns(path) && !isUnknown(path)) deps.hint(path, null)
  }
  // Where there is a directory now there may have been a file.
  const own = parseFilePath(directory)
  const entry = own.ok ? await deps.index.get(own.value) : undefined
  if (entry !== undefined) missing(entry)
  let step = await walk.next()
  for (; step.done !== true; step = await walk.next()) {
    const batch = step.value
    unreadable.push(...batch.unreadable)
    for (const [i, path] of batch.paths.entries()) {
      const seen = unpackFingerprint(batch.numbers, i)
      for (;;) {
        const entry = known.entry ?? (await known.load())
        if (entry === undefined || comparePaths(entry.path, path) >= 0) break
        missing(entry)
        known.advance()
      }
      const entry = known.entry
      const isKnown = entry?.path === path
      if (isKnown) known.advance()
      if (!isKnown || !sameFingerprint(entry.fingerprint, seen)) deps.hint(path, seen)
    }
    await deps.accepts()
  }
  for (;;) {
    const entry = known.entry ?? (await known.load())
    if (entry === undefined) return step.value
    missing(entry)
    known.advance()
    await deps.accepts()
  }
}

/** Walks the index in the order of paths, a page at a time. */
class IndexCursor {
  readonly #index: FileIndex
  readonly #directory: string
  #page: readonly IndexEntry[] = []
  #at = 0
  #last = ''
  #isDone = false

  constructor(index: FileIndex, directory: string) {
    this.#index = index
    this.#directory = directory
  }

  /** Undefined at the end of a page: `load` gives the next. */
  get entry(): IndexEntry | undefined {
    return this.#page[this.#at]
  }

  advance(): void {
    this.#at += 1
  }

  async load(): Promise<IndexEntry | undefined> {
    if (this.#isDone) return undefined
    this.#page = await this.#index.below(this.#directory, this.#last, PAGE)
    this.#at = 0
    this.#last = this.#page.at(-1)?.path ?? ''
    this.#isDone = this.#page.length < PAGE
    return this.#page[0]
  }
}
