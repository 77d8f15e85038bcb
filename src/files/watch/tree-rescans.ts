/** Walks of directories that are due, one at a time; a walk of everything stands for all others. */
export class TreeRescans {
  readonly #whole: string
  readonly #rescan: (directory: string) => Promise<void>
  readonly #queued = new Map<string, PromiseWithResolvers<void>>()
  #running: Promise<void> | undefined
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
    const present = this.#queued.get(this.#whole) ?? this.#queued.get(directory)
    if (present !== undefined) return present.promise
    const asked = Promise.withResolvers<void>()
    // Whoever does not wait for it hears of a failure from the log of the one that does.
    asked.promise.catch(() => {})
    if (directory === this.#whole) {
      for (const { resolve } of this.#queued.values()) resolve(asked.promise)
      this.#queued.clear()
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

  #current: Promise<void> | undefined

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
