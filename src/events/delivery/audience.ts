import type { Rights } from '../../auth/principal.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { StoredEvent } from '../log/event-log.ts'
import { Batch } from './batch.ts'
import type { Encoding } from './encoding.ts'

/** What connections have in common when they can be given the same bytes. */
export interface Interest {
  readonly encoding: Encoding
  readonly rights: Rights
  /** Sorted, each once. */
  readonly filters: readonly TopicFilter[]
}

/** A connection that is up to date and takes what comes. */
export interface Listener {
  deliver(batch: Batch): void
}

/** All connections with the same interest: an event is gathered and encoded once for all of them. */
export class Audience {
  readonly interest: Interest
  readonly #epoch: string
  readonly #listeners = new Set<Listener>()
  #pending: StoredEvent[] = []
  #pendingBytes = 0

  constructor(interest: Interest, epoch: string) {
    this.interest = interest
    this.#epoch = epoch
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** What is pending went to the newcomer already: it leaves first. */
  join(listener: Listener, through: number): void {
    this.flush(through)
    this.#listeners.add(listener)
  }

  /** What is pending still goes to the one who leaves, so that it is complete through `through`. */
  leave(listener: Listener, through: number): void {
    this.flush(through)
    this.#listeners.delete(listener)
  }

  offer(event: StoredEvent): void {
    this.#pending.push(event)
    this.#pendingBytes += event.json.length
  }

  /** Hands over what is pending; afterwards every listener is complete through `through`. */
  flush(through: number): void {
    if (this.#pending.length === 0) return
    const { encoding } = this.interest
    const batch = new Batch(this.#pending, through, { encoding, epoch: this.#epoch })
    this.#pending = []
    this.#pendingBytes = 0
    // A copy: a listener that cannot keep up leaves while it is being served.
    for (const listener of [...this.#listeners]) listener.deliver(batch)
  }
}
