import type { TreeBatch } from './tree-batch.ts'
import type { ScanCounts } from './tree-scan.ts'
import type { WatchSettings } from './watch-messages.ts'
import type { Timers } from './watch-timers.ts'
import { startWatchThread, Watcher, type WatcherEvents, type WatchLink } from './watcher.ts'

/** Starts the other end of a watcher. @param heapMb - what it may use */
export type StartWatch = (settings: WatchSettings, heapMb: number) => WatchLink

export interface LastingWatcherEvents extends WatcherEvents {
  /** A new thread has taken over; nothing is watched any more. */
  readonly onRestarted: () => void
}

/** Heap of a thread at first. Chokidar takes what it is given; 10,000 directories need about 60 MB. */
const FIRST_HEAP_MB = 64

/** A thread that died is given twice as much, up to this; then it only walks and watches nothing. */
const LAST_HEAP_MB = 512

const RESTART_DELAY_MS = 1000

/** A cookie is seen within milliseconds; where it is not, events are lost. */
const COOKIE_TIMEOUT_MS = 10_000

/** A watcher whose thread is replaced when it dies. */
export class LastingWatcher implements AsyncDisposable {
  readonly #settings: WatchSettings
  readonly #events: LastingWatcherEvents
  readonly #timers: Timers
  readonly #startWatch: StartWatch
  #watcher: Watcher | undefined
  #heapMb = FIRST_HEAP_MB
  #restart: Disposable | undefined
  #isClosed = false

  constructor(
    settings: WatchSettings,
    events: LastingWatcherEvents,
    timers: Timers,
    startWatch: StartWatch = startWatchThread,
  ) {
    this.#settings = settings
    this.#events = events
    this.#timers = timers
    this.#startWatch = startWatch
  }

  start(): void {
    const isSpent = this.#heapMb > LAST_HEAP_MB
    const settings = isSpent ? { ...this.#settings, maxWatches: 0 } : this.#settings
    const link = this.#startWatch(settings, Math.min(this.#heapMb, LAST_HEAP_MB))
    this.#watcher = new Watcher(link, {
      ...this.#events,
      onLost: (error) => this.#onLost(error),
    })
  }

  async cover(fresh: boolean): Promise<void> {
    await this.#current.cover(fresh)
  }

  /** Resolves when every event of before has come: true, or false when that cannot be told. */
  async passesCookie(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    using _ = this.#timers.after(COOKIE_TIMEOUT_MS, () => resolve(false))
    const cookie = this.#watcher?.cookie() ?? Promise.reject(new Error('not started'))
    cookie.then(
      () => resolve(true),
      () => resolve(false),
    )
    return await promise
  }

  scan(path: string): AsyncGenerator<TreeBatch, ScanCounts> {
    return this.#current.scan(path)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#restart?.[Symbol.dispose]()
    await this.#watcher?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #current(): Watcher {
    if (this.#watcher === undefined) throw new Error('the watch thread is not started')
    return this.#watcher
  }

  #onLost(error: Error): void {
    this.#events.onLost(error)
    if (this.#isClosed) return
    this.#heapMb *= 2
    this.#restart = this.#timers.after(RESTART_DELAY_MS, () => {
      this.start()
      this.#events.onRestarted()
    })
  }
}
