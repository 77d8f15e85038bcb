import { basename, dirname } from 'node:path'
import { fingerprintOf } from '../fingerprint.ts'
import { errorCode } from '../store/storage-fault.ts'
import { TreeCoverage } from './tree-coverage.ts'
import { TreeNames } from './tree-names.ts'
import { WatchCookies } from './watch-cookies.ts'
import type { DirectoryEvents, DirectoryWatches } from './watch-directories.ts'
import type { WatchCoverage, WatchHint, WatchSettings } from './watch-messages.ts'
import { statsAt } from './watched-tree.ts'

export interface TreeWatchDeps {
  readonly watch: (events: DirectoryEvents) => DirectoryWatches
  readonly onHints: (hints: readonly WatchHint[]) => void
  readonly onCoverage: (coverage: WatchCoverage) => void
  readonly onTrouble: (error: Error) => void
  /** Events that the system holds for us before it drops further ones. */
  readonly maxQueuedEvents: number
}

/** Events of this long are gathered: a file that is written to has hundreds of them. */
const WINDOW_MS = 10

/**
 * Watches a tree and hints at what happens there. Whoever is hinted at a directory finds all that was in
 * it by then, since it was watched before the hint; what comes later is an event.
 */
export class TreeWatch implements AsyncDisposable {
  readonly #settings: WatchSettings
  readonly #deps: TreeWatchDeps
  readonly #names: TreeNames
  readonly #watches: DirectoryWatches
  readonly #tree: TreeCoverage
  readonly #cookies = new WatchCookies()
  /** What had events since the last flush. */
  readonly #window = new Set<string>()
  /** Directories that are to be watched, not to be watched any more, or to be watched again. */
  readonly #doubtful = new Set<string>()
  #seenCookies: (() => void)[] = []
  #covering: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #eventsOfTurn = 0
  #hasOverflowed = false
  /** After lost events nobody knows what is watched. */
  #isDoubtful = false
  #isClosed = false

  constructor(settings: WatchSettings, deps: TreeWatchDeps) {
    this.#settings = settings
    this.#deps = deps
    this.#names = new TreeNames(settings)
    this.#watches = deps.watch({
      onEvent: (directory, name) => this.#onEvent(directory, name),
      onLost: (directory) => this.#onLost(directory),
      onError: (error) => this.#onError(error),
    })
    const { root, maxWatches = Number.POSITIVE_INFINITY } = settings
    this.#tree = new TreeCoverage({ root, maxWatches }, this.#names, this.#watches)
  }

  /**
   * Watches every directory that is not watched yet and forgets those that are gone.
   *
   * @param fresh - forgets all first: after an unmount no watch is alive
   * @throws ENOENT when the tree is not there
   */
  cover(fresh: boolean): Promise<void> {
    return this.#inTurn(async () => {
      await this.#cookies.watch(this.#settings.cookies, this.#watches)
      const isFresh = fresh || this.#isDoubtful
      this.#isDoubtful = false
      await this.#tree.coverAll(isFresh)
      this.#deps.onCoverage(this.#tree.coverage)
    })
  }

  /**
   * Resolves when every event before this moment has been hinted at.
   *
   * @throws when cookies cannot be seen
   */
  async cookie(id: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#cookies.place(id, resolve)
    await promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#watches[Symbol.asyncDispose]()
    await this.#covering
  }

  #onEvent(directory: string, name: string | null): void {
    if (this.#isClosed) return
    this.#countEvent()
    this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS)
    if (this.#cookies.isIn(directory)) {
      const onSeen = name === null ? undefined : this.#cookies.take(name)
      if (onSeen !== undefined) this.#seenCookies.push(onSeen)
      return
    }
    if (name !== null) this.#window.add(`${directory}/${name}`)
  }

  #onLost(directory: string): void {
    if (this.#isClosed) return
    if (this.#cookies.isIn(directory)) this.#cookies.lose()
    else {
      this.#tree.lose(directory)
      this.#doubtful.add(directory)
    }
    this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS)
  }

  /**
   * All events that wait are delivered in one turn of the loop. When they are half of what the system
   * holds, it may have dropped some, and nothing else says so: libuv passes over the overflow.
   */
  #countEvent(): void {
    if (this.#eventsOfTurn === 0) {
      setImmediate(() => {
        this.#eventsOfTurn = 0
      })
    }
    this.#eventsOfTurn += 1
    if (this.#eventsOfTurn >= this.#deps.maxQueuedEvents / 2) this.#hasOverflowed = true
  }

  #onError(error: Error): void {
    this.#isDoubtful = true
    this.#deps.onTrouble(error)
    this.#deps.onHints([{ kind: 'rescan', reason: errorCode(error) ?? 'error' }])
  }

  #flush(): void {
    this.#timer = undefined
    const events = [...this.#window]
    const cookies = this.#seenCookies
    this.#window.clear()
    this.#seenCookies = []
    const hints: WatchHint[] = []
    if (this.#hasOverflowed) {
      // The rescan that follows sees what came before a cookie, even where its event was dropped.
      cookies.push(...this.#cookies.takeAll())
      hints.push({ kind: 'rescan', reason: 'overflow' })
      this.#isDoubtful = true
    } else for (const path of events) this.#look(path, hints)
    this.#hasOverflowed = false
    if (hints.length > 0) this.#deps.onHints(hints)
    if (this.#doubtful.size > 0) this.#later(() => this.#coverAgain())
    // What a cookie answers for includes the directories that came before it.
    this.#later(() => {
      for (const onSeen of cookies) onSeen()
    })
  }

  #look(path: string, hints: WatchHint[]): void {
    if (basename(path) === basename(this.#tree.root)) this.#lookAtRoot(hints)
    if (path === this.#tree.root) return
    const directory = this.#tree.pathOf(dirname(path))
    const name = basename(path)
    if (this.#names.isHidden(directory, name)) return
    const told = this.#names.pathOf(directory, name)
    if (told === undefined) return
    const stats = statsAt(path)
    if (stats?.isDirectory() === true) {
      if (!this.#tree.isCovered(path, stats)) this.#doubtful.add(path)
      return
    }
    if (this.#tree.knows(path)) this.#doubtful.add(path)
    const seen = stats?.isFile() === true ? fingerprintOf(stats) : null
    hints.push({ kind: 'path', path: told, seen })
  }

  /** The root itself going or being replaced is told as a name in it. */
  #lookAtRoot(hints: WatchHint[]): void {
    const stats = statsAt(this.#tree.root)
    if (stats !== undefined && !this.#tree.isReplaced(this.#tree.root, stats)) return
    hints.push({ kind: 'rescan', reason: 'the directory of the volume was replaced' })
  }

  async #coverAgain(): Promise<void> {
    const directories = [...this.#doubtful]
    this.#doubtful.clear()
    if (directories.length === 0) return
    const { unwatched } = this.#tree.coverage
    await this.#tree.coverBelow(directories)
    if (this.#tree.coverage.unwatched !== unwatched) this.#deps.onCoverage(this.#tree.coverage)
    const paths = directories.map((directory) => this.#tree.pathOf(directory))
    this.#deps.onHints(paths.map((path) => ({ kind: 'directory', path })))
  }

  #later(work: () => void | Promise<void>): void {
    this.#inTurn(async () => work()).catch((error: Error) => this.#deps.onTrouble(error))
  }

  /** One after the other, whatever becomes of each. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#covering.then(work)
    this.#covering = done.catch(() => {})
    return done
  }
}
