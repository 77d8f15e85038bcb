/** Walks of directories that are due, one at a time; a walk of one stands for those below it. */
export class TreeRescans {
  readonly #whole: string
  readonly #rescan: (directory: string) => Promise<void>
  readonly #queued = new Map<string, PromiseWithResolvers<void>>()
  #running: Promise<void> | undefined
  #current: Promise<void> | undefined
  #isClosed = false

  /**
   * @param whole - path of the directory that holds all others
   * @param rescan - walks one; what it throws reaches whoever asked
   */
  constructor(whole: string, rescan: (directory: string) => Promise<void>) {
    this.#whole = whole
    this.#rescan = rescan
  }

  /** Resolves when a walk of `directory` that began after now is done. */
  request(directory: string): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    const present = this.#coveringOf(directory)
    if (present !== undefined) return present.promise
    const asked = Promise.withResolvers<void>()
    // Whoever does not wait for it hears of a failure from the log of the one that does.
    asked.promise.catch(() => {})
    for (const [queued, { resolve }] of this.#queued) {
      if (directory !== this.#whole && !queued.startsWith(`${directory}/`)) continue
      resolve(asked.promise)
      this.#queued.delete(queued)
    }
    this.#queued.set(directory, asked)
    this.#running ??= this.#run()
    return asked.promise
  }

  /** Resolves when all that was asked for until now is done; rejects when one of them failed. */
  async drained(): Promise<void> {
    const queued = [...this.#queued.values()].map(({ promise }) => promise)
    await Promise.all([this.#current, ...queued])
  }

  /** Lets the one that runs end and forgets the rest. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { resolve } of this.#queued.values()) resolve()
    this.#queued.clear()
    await this.#running
  }

  /** What is queued already and covers `directory`: itself or one above it. */
  #coveringOf(directory: string): PromiseWithResolvers<void> | undefined {
    for (let above = directory; ; above = above.slice(0, Math.max(0, above.lastIndexOf('/')))) {
      const queued = this.#queued.get(above)
      if (queued !== undefined) return queued
      if (above === '') return this.#queued.get(this.#whole)
    }
  }

  async #run(): Promise<void> {
    // Those that come in the same turn are one.
    await Promise.resolve()
    for (let next = this.#take(); next !== undefined; next = this.#take()) {
      const [directory, asked] = next
      this.#current = asked.promise
      await this.#rescan(directory).then(asked.resolve, asked.reject)
      this.#current = undefined
    }
    this.#running = undefined
  }

  #take(): [string, PromiseWithResolvers<void>] | undefined {
    const [next] = this.#queued
    if (next !== undefined) this.#queued.delete(next[0])
    return next
  }
}
