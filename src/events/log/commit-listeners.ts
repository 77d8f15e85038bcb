import type { StoredEvent } from './event-log.ts'

type CommitListener = (events: readonly StoredEvent[]) => void

/** Who is told of commits. */
export class CommitListeners {
  readonly #listeners = new Set<CommitListener>()

  add(listener: CommitListener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  tell(events: readonly StoredEvent[]): void {
    if (events.length === 0) return
    for (const listener of this.#listeners) listener(events)
  }

  clear(): void {
    this.#listeners.clear()
  }
}
