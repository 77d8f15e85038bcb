interface Waiting {
  readonly last: number
  resolve(): void
  reject(error: Error): void
}

/**
 * What has begun and not ended, in the order in which it began: the ground of every barrier. Whoever waits
 * is waiting for what had begun by then, never for what begins later.
 */
export class Outstanding {
  /** Tickets grow, so that insertion order is their order. */
  readonly #open = new Set<number>()
  #waiting: Waiting[] = []
  #lastTicket = 0
  #failure: Error | undefined

  get size(): number {
    return this.#open.size
  }

  /** @returns the ticket to `end` it with */
  begin(): number {
    this.#lastTicket += 1
    this.#open.add(this.#lastTicket)
    return this.#lastTicket
  }

  end(ticket: number): void {
    this.#open.delete(ticket)
    if (this.#waiting.length === 0) return
    const [oldest = Number.POSITIVE_INFINITY] = this.#open
    const done = this.#waiting.filter(({ last }) => last < oldest)
    if (done.length === 0) return
    this.#waiting = this.#waiting.filter(({ last }) => last >= oldest)
    for (const { resolve } of done) resolve()
  }

  /** Resolves when all that has begun until now has ended. */
  drained(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#open.size === 0) return Promise.resolve()
    const last = this.#lastTicket
    return new Promise((resolve, reject) => this.#waiting.push({ last, resolve, reject }))
  }

  /** Nothing that is open will end any more: whoever waits, or comes to wait, is told so. */
  fail(error: Error): void {
    this.#failure = error
    const waiting = this.#waiting
    this.#waiting = []
    for (const { reject } of waiting) reject(error)
  }
}
