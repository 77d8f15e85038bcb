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

/** A batch on its way round those who were members when it was made. */
interface Round {
  readonly batch: Batch
  readonly waiting: Set<Listener>
}

/** Members served before the clock is looked at: a write takes about 8 us. */
const MEMBERS_PER_LOOK = 32

/** All connections with the same interest: an event is gathered and encoded once for all of them. */
export class Audience {
  readonly interest: Interest
  readonly #epoch: string
  readonly #listeners = new Set<Listener>()
  /** Oldest first. */
  readonly #rounds: Round[] = []
  #pending: StoredEvent[] = []
  #pendingBytes = 0

  constructor(interest: Interest, epoch: string) {
    this.interest = interest
    this.#epoch = epoch
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0
  }

  /** True when every member has all that was committed. */
  get isComplete(): boolean {
    return this.#pending.length === 0 && this.#rounds.length === 0
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** What is pending went to the newcomer already: it is gathered for the others. */
  join(listener: Listener, through: number): void {
    this.gather(through)
    this.#listeners.add(listener)
  }

  /** Whoever leaves is given what is on its way to it, so that it is complete through `through`. */
  leave(listener: Listener, through: number): void {
    this.gather(through)
    this.#listeners.delete(listener)
    for (const { waiting, batch } of this.#rounds) {
      if (waiting.delete(listener)) listener.deliver(batch)
    }
  }

  offer(event: StoredEvent): void {
    this.#pending.push(event)
    this.#pendingBytes += event.json.length
  }

  /** Makes a batch of what is pending; whoever was given it is complete through `through`. */
  gather(through: number): void {
    if (this.#pending.length === 0) return
    const { encoding } = this.interest
    const batch = new Batch(this.#pending, through, { encoding, epoch: this.#epoch })
    this.#pending = []
    this.#pendingBytes = 0
    this.#rounds.push({ batch, waiting: new Set(this.#listeners) })
  }

  /**
   * Brings the batches round.
   *
   * @returns false when time was up first
   */
  serve(isTimeUp: () => boolean): boolean {
    let served = 0
    for (;;) {
      const round = this.#rounds[0]
      if (round === undefined) return true
      for (const listener of round.waiting) {
        round.waiting.delete(listener)
        listener.deliver(round.batch)
        served += 1
        if (served % MEMBERS_PER_LOOK === 0 && isTimeUp()) return false
      }
      this.#rounds.shift()
    }
  }
}
