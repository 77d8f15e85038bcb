/**
 * Waits, for many callers, until the disk is told. One passage at a time, since it may walk everything; who
 * comes while one is under way shares the next, for a passage covers what was changed before it began.
 */
export class SyncBarrier<Place> {
  readonly #through: () => Promise<Place>
  #running: Promise<Place> | undefined
  #next: Promise<Place> | undefined

  /** @param through - resolves when all that was changed before its call is told */
  constructor(through: () => Promise<Place>) {
    this.#through = through
  }

  pass(): Promise<Place> {
    if (this.#next === undefined && this.#running === undefined) return this.#run()
    const run = () => this.#run()
    this.#next ??= this.#running?.then(run, run) ?? run()
    return this.#next
  }

  #run(): Promise<Place> {
    this.#next = undefined
    const running = this.#through().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }
}
