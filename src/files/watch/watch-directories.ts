import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { type FSWatcher, watch } from 'chokidar'
import { errorCode } from '../store/storage-fault.ts'

/** What happens in watched directories. */
export interface DirectoryEvents {
  /**
   * @param name - in the directory; null when the system does not say which
   * @param isRename - it came, went, or was replaced, rather than written to
   */
  onEvent(directory: string, name: string | null, isRename: boolean): void
  /** A watch that stood has failed. */
  onError(error: Error): void
}

/** Watches directories, each for what is directly in it. */
export interface DirectoryWatches extends AsyncDisposable {
  /**
   * Resolves when each is watched, or cannot be.
   *
   * @returns error codes of those that cannot be, by directory
   */
  add(directories: readonly string[]): Promise<ReadonlyMap<string, string>>
  /**
   * Watches again what is watched. What happened before it resolves may not be reported.
   *
   * @returns error codes of those that cannot be watched any more, by directory
   */
  renew(directories: readonly string[]): Promise<ReadonlyMap<string, string>>
  remove(directories: readonly string[]): void
}

/** Added at once: unpaced, chokidar needs memory for all at a time and kills a thread with a limit. */
const ADDED_AT_ONCE = 10

/** Directories of one watcher of chokidar. */
const GROUP_SIZE = 32

/** One that has forgotten so many, or of which so few are left, is replaced. */
const MANY_FORGOTTEN = 8
const FEW_LEFT = 2

const MAX_TRIES = 5

const SUBSCRIBE_TIMEOUT_MS = 5000

/** Chokidar did not subscribe and gave no error: it takes the directory for an ignored one. */
const GAVE_UP = 'EAGAIN'

/**
 * Directory watches by chokidar, of which only the `raw` events are used: everything else of it interprets,
 * and what it interprets comes late or, after a flood, not at all.
 *
 * In groups, because a watcher of chokidar keeps a record of every path it was ever told to unwatch and
 * goes through all of them, and through all that it watches, for each event and each `unwatch`. Also, a
 * task of it can wait for itself when a directory vanishes; a group that has forgotten one takes no more.
 */
export class ChokidarDirectories implements DirectoryWatches {
  readonly #events: DirectoryEvents
  readonly #groups = new Map<string, Group>()
  #filling: Group | undefined
  readonly #retiring = new Set<Promise<void>>()
  #isClosed = false

  constructor(events: DirectoryEvents) {
    this.#events = events
  }

  async add(directories: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>()
    for (let i = 0; i < directories.length && !this.#isClosed; i += ADDED_AT_ONCE) {
      const some = directories.slice(i, i + ADDED_AT_ONCE)
      await Promise.all(some.map((directory) => this.#addOne(directory, failures)))
    }
    return failures
  }

  async renew(directories: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>()
    for (const directory of directories) {
      const group = this.#groups.get(directory)
      if (group === undefined || this.#isClosed) continue
      group.drop(directory)
      await this.#addOne(directory, failures, group)
    }
    return failures
  }

  remove(directories: readonly string[]): void {
    const touched = new Set<Group>()
    for (const directory of directories) {
      const group = this.#groups.get(directory)
      if (group === undefined) continue
      this.#groups.delete(directory)
      group.forget(directory)
      touched.add(group)
    }
    for (const group of touched) if (group.isSpent) this.#replace(group)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    const groups = new Set(this.#groups.values())
    this.#groups.clear()
    await Promise.all([...groups].map((group) => group.close()))
    await Promise.all(this.#retiring)
  }

  async #addOne(
    directory: string,
    failures: Map<string, string>,
    group = this.#openGroup(),
  ): Promise<void> {
    let failure = await this.#addTo(group, directory)
    // A watcher that takes it for ignored stays of that opinion: another one is asked.
    for (
      let tries = 1;
      failure === GAVE_UP && existsSync(directory) && tries < MAX_TRIES;
      tries += 1
    ) {
      this.remove([directory])
      this.#filling = undefined
      failure = await this.#addTo(this.#openGroup(), directory)
    }
    if (failure === undefined) return
    this.remove([directory])
    // What vanished meanwhile needs no watch.
    if (existsSync(directory)) failures.set(directory, failure)
  }

  #addTo(group: Group, directory: string): Promise<string | undefined> {
    this.#groups.set(directory, group)
    return group.add(directory)
  }

  #openGroup(): Group {
    if (this.#filling === undefined || this.#filling.isFull) {
      this.#filling = new Group(this.#events)
    }
    return this.#filling
  }

  /** Moves what a spent group still watches to another; until then both report it, which does no harm. */
  #replace(group: Group): void {
    if (this.#filling === group) this.#filling = undefined
    const kept = [...group.directories].filter((directory) => this.#groups.get(directory) === group)
    const retiring = this.#retire(group, kept).finally(() => this.#retiring.delete(retiring))
    this.#retiring.add(retiring)
  }

  async #retire(group: Group, kept: readonly string[]): Promise<void> {
    for (const [directory, code] of await this.add(kept)) {
      this.#events.onError(Object.assign(new Error(`cannot watch ${directory} again`), { code }))
    }
    await group.close()
  }
}

/** One watcher of chokidar and its directories. */
class Group {
  readonly directories = new Set<string>()
  readonly #watcher: FSWatcher
  readonly #failures = new Map<string, string>()
  readonly #events: DirectoryEvents
  #added = 0
  #forgotten = 0

  constructor(events: DirectoryEvents) {
    this.#events = events
    this.#watcher = watch([], {
      depth: 0,
      ignored: (path) => !this.directories.has(path),
      atomic: false,
      awaitWriteFinish: false,
      ignoreInitial: true,
      followSymlinks: false,
    })
    this.#watcher.on('raw', (event, name, details) => {
      const directory = watchedPathOf(details)
      if (directory === undefined || !this.directories.has(directory)) return
      events.onEvent(directory, typeof name === 'string' ? name : null, event === 'rename')
    })
    this.#watcher.on('error', (error) => this.#onError(error))
  }

  get isFull(): boolean {
    return this.#added >= GROUP_SIZE || this.#forgotten > 0
  }

  get isSpent(): boolean {
    const isSmall = this.#forgotten > 0 && this.directories.size <= FEW_LEFT
    return isSmall || this.#forgotten >= MANY_FORGOTTEN
  }

  /** @returns the code of the error when it cannot be watched */
  async add(directory: string): Promise<string | undefined> {
    this.#added += 1
    this.directories.add(directory)
    this.#watcher.add(directory)
    const { tasks } = this.#watcher.lifecycle
    const deadlineMs = performance.now() + SUBSCRIBE_TIMEOUT_MS
    while (!this.#isSubscribed(directory)) {
      // It vanished meanwhile, or the group was closed.
      if (!this.directories.has(directory)) return undefined
      const failure = this.#failures.get(directory)
      if (failure !== undefined || tasks.size === 0) return failure ?? GAVE_UP
      if (performance.now() > deadlineMs) return GAVE_UP
      await delay(1)
    }
    return undefined
  }

  /** Ends the subscription of one directory, which is then to be added again, and of none below it. */
  drop(directory: string): void {
    this.#added -= 1
    this.#watcher.closePath(directory)
  }

  forget(directory: string): void {
    this.#forgotten += 1
    this.directories.delete(directory)
    this.#watcher.unwatch(directory)
  }

  async close(): Promise<void> {
    this.directories.clear()
    await this.#watcher.close()
  }

  /**
   * `getWatched()` names a directory too early: as soon as something in it is added, or its parent is
   * read. That it can be unsubscribed is what says that it is subscribed.
   */
  #isSubscribed(directory: string): boolean {
    return this.#watcher.lifecycle.closers.has(directory)
  }

  #onError(cause: unknown): void {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const path = 'path' in error && typeof error.path === 'string' ? error.path : undefined
    const isNew = path !== undefined && this.directories.has(path) && !this.#isSubscribed(path)
    if (isNew) this.#failures.set(path, errorCode(error) ?? 'EUNKNOWN')
    else this.#events.onError(error)
  }
}

function watchedPathOf(details: unknown): string | undefined {
  if (typeof details !== 'object' || details === null || !('watchedPath' in details))
    return undefined
  return typeof details.watchedPath === 'string' ? details.watchedPath : undefined
}
