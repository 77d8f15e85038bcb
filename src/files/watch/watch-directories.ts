import { basename } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { errorCode } from '../store/storage-fault.ts'

/** What happens in watched directories. */
export interface DirectoryEvents {
  /** @param name - in the directory; null when the system does not say which */
  onEvent(directory: string, name: string | null): void
  /** A directory was touched, moved or deleted, or may have been: it is not watched any more. */
  onLost(directory: string): void
  /** A watch that stood has failed. */
  onError(error: Error): void
}

/** Watches directories, each for what is directly in it. */
export interface DirectoryWatches extends AsyncDisposable {
  /**
   * Resolves when each is watched, or cannot be. None of them is watched already.
   *
   * @returns error codes of those that are not, by directory; `ENOENT` for one that went or was lost
   */
  add(directories: readonly string[]): Promise<ReadonlyMap<string, string>>
  /** Of what `add` has resolved for; others, and what was lost, are passed over. */
  remove(directories: readonly string[]): void
}

/** Nothing that waits for chokidar waits for ever: a directory that is not watched by then is scanned. */
const READY_TIMEOUT_MS = 60_000

/**
 * Directory watches by chokidar, of which only the `raw` events are used: everything else of it interprets,
 * and what it interprets comes late or, after a flood, not at all.
 *
 * When a directory is touched, moved or deleted, a watcher of chokidar takes it for replaced and subscribes
 * anew, later and without a word; what happens until then is lost. So each directory has a watcher of its
 * own, which is closed with the first event that speaks of the directory itself, before chokidar acts.
 */
export class ChokidarDirectories implements DirectoryWatches {
  readonly #events: DirectoryEvents
  readonly #watchers = new Map<string, FSWatcher>()
  readonly #opening = new Set<(failure: string) => void>()
  #isClosed = false

  constructor(events: DirectoryEvents) {
    this.#events = events
  }

  async add(directories: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>()
    const addOne = async (directory: string) => {
      const failure = await this.#open(directory)
      if (failure !== undefined) failures.set(directory, failure)
    }
    if (!this.#isClosed) await Promise.all(directories.map(addOne))
    for (const directory of directories) {
      if (!this.#watchers.has(directory) && !failures.has(directory))
        failures.set(directory, 'ENOENT')
    }
    return failures
  }

  remove(directories: readonly string[]): void {
    for (const directory of directories) this.#close(directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    for (const give of this.#opening) give('ECANCELED')
    const watchers = [...this.#watchers.values()]
    this.#watchers.clear()
    await Promise.all(watchers.map((watcher) => watcher.close()))
  }

  /** @returns the code of the error when it cannot be watched */
  async #open(directory: string): Promise<string | undefined> {
    const watcher = watch(directory, {
      depth: 0,
      ignored: (path) => path !== directory,
      atomic: false,
      awaitWriteFinish: false,
      ignoreInitial: true,
      followSymlinks: false,
    })
    this.#watchers.set(directory, watcher)
    let isReady = false
    let isLost = false
    watcher.on('raw', (event, name, details) => {
      // One that waits for its directory to come back reports the directory above.
      if (watchedPathOf(details) !== directory) return
      const child = typeof name === 'string' ? name : null
      isLost ||= child === null || (event === 'rename' && child === basename(directory))
      this.#events.onEvent(directory, child)
      if (isLost && isReady) this.#lose(directory)
    })
    const failure = await this.#ready(watcher)
    isReady = true
    // Not before: a watcher that is closed while it begins lets its watch go later, and the next one of
    // the directory would share it.
    if (isLost) this.#lose(directory)
    else if (failure !== undefined || !isSubscribed(watcher, directory)) this.#close(directory)
    return failure
  }

  /** Resolves when a watcher is ready; with a code when it has failed by then. */
  async #ready(watcher: FSWatcher): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    const timer = setTimeout(() => resolve('ETIMEDOUT'), READY_TIMEOUT_MS)
    let isReady = false
    let failure: string | undefined
    watcher.on('error', (cause) => {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      if (isReady) this.#events.onError(error)
      else failure = errorCode(error) ?? 'EUNKNOWN'
    })
    watcher.on('ready', () => resolve(failure))
    this.#opening.add(resolve)
    const outcome = await promise
    this.#opening.delete(resolve)
    clearTimeout(timer)
    isReady = true
    return outcome
  }

  #lose(directory: string): void {
    if (this.#close(directory)) this.#events.onLost(directory)
  }

  #close(directory: string): boolean {
    const watcher = this.#watchers.get(directory)
    // The watch itself is gone when `close` returns; chokidar may go on looking for what is not there.
    watcher?.close().catch((error: Error) => this.#events.onError(error))
    return this.#watchers.delete(directory)
  }
}

/** False for a watcher whose directory went before it was subscribed: it waits for one of that name. */
function isSubscribed(watcher: FSWatcher, directory: string): boolean {
  return watcher.lifecycle.closers.has(directory) && directory in watcher.getWatched()
}

function watchedPathOf(details: unknown): string | undefined {
  if (typeof details !== 'object' || details === null || !('watchedPath' in details))
    return undefined
  return typeof details.watchedPath === 'string' ? details.watchedPath : undefined
}
