/** What is done now and then, for as long as it takes; `signal` asks it to stop early. */
export interface Chore {
  /** For the log: `files.retained`. */
  readonly event: string
  /** @returns how many files it was about */
  run(signal: AbortSignal): Promise<number>
}

export interface HousekeepingDeps {
  readonly chores: readonly Chore[]
  readonly log: {
    info(fields: object, message: string): void
    error(fields: object, message: string): void
  }
}

/** What is due by age is due within minutes more: nobody waits for it. */
const INTERVAL_MS = 5 * 60_000

/** Does chores one after the other, at the start and then at intervals. */
export class Housekeeping implements AsyncDisposable {
  readonly #deps: HousekeepingDeps
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(deps: HousekeepingDeps) {
    this.#deps = deps
  }

  start(): void {
    if (this.#stop.signal.aborted) return
    this.#running = this.#runAll().finally(() => {
      if (this.#stop.signal.aborted) return
      this.#timer = setTimeout(() => this.start(), INTERVAL_MS).unref()
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #runAll(): Promise<void> {
    const { chores, log } = this.#deps
    const { signal } = this.#stop
    for (const { event, run } of chores) {
      if (signal.aborted) return
      try {
        const files = await run(signal)
        if (files > 0) log.info({ event, files }, 'files whose time was over are gone')
      } catch (err) {
        if (!signal.aborted) log.error({ event, err }, 'not every file could be looked after')
      }
    }
  }
}
