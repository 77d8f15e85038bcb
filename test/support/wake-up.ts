/** Wakes everybody who waits for the next change. */
export class WakeUp {
  #next = Promise.withResolvers<void>()

  wake(): void {
    this.#next.resolve()
    this.#next = Promise.withResolvers<void>()
  }

  next(): Promise<void> {
    return this.#next.promise
  }
}
