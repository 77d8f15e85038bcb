import type { StoredEvent } from './event-log.ts'
import type { Share } from './history-account.ts'
import type { HistoryBudget } from './history-budget.ts'

/** Whether a history still keeps an event of this share. */
type Keeper = Pick<Share, 'droppedThrough'>

const EVERYTHING: Keeper = { droppedThrough: 0 }

/** The newest events in the order of offsets, within a budget; what the history dropped is not seen. */
export class EventRing {
  readonly #budget: HistoryBudget
  #events: StoredEvent[] = []
  #times: number[] = []
  #keepers: Keeper[] = []
  /** Index of the oldest kept event: those before it are cut off in bulk. */
  #start = 0
  #bytes = 0
  #trimmedThrough: number

  /** @param trimmedThrough - the offset up to which nothing is held to begin with */
  constructor(budget: HistoryBudget, trimmedThrough = 0) {
    this.#budget = budget
    this.#trimmedThrough = trimmedThrough
  }

  /** Every event after this offset that was pushed is still here. */
  get trimmedThrough(): number {
    return this.#trimmedThrough
  }

  /** How many events are held, those that are not seen included. */
  get size(): number {
    return this.#events.length - this.#start
  }

  push(event: StoredEvent, now: number, keeper = EVERYTHING): void {
    this.#events.push(event)
    this.#times.push(now)
    this.#keepers.push(keeper)
    this.#bytes += event.json.length
    this.trim(now)
  }

  /** Drops what is over the budget, oldest first. */
  trim(now: number): void {
    const { events, bytes, ageMs } = this.#budget
    for (;;) {
      const oldest = this.#events[this.#start]
      if (oldest === undefined) break
      const isOld = (this.#times[this.#start] ?? now) <= now - ageMs
      if (this.#events.length - this.#start <= events && this.#bytes <= bytes && !isOld) break
      this.#bytes -= oldest.json.length
      this.#trimmedThrough = oldest.offset
      this.#start += 1
    }
    if (this.#start > 1024 && this.#start > this.#events.length / 2) {
      this.#events = this.#events.slice(this.#start)
      this.#times = this.#times.slice(this.#start)
      this.#keepers = this.#keepers.slice(this.#start)
      this.#start = 0
    }
  }

  /** Lets go of what the history dropped. */
  sweep(): void {
    const isKept = (_: unknown, i: number) => i >= this.#start && this.#isKept(i)
    const events = this.#events.filter(isKept)
    this.#times = this.#times.filter(isKept)
    this.#keepers = this.#keepers.filter(isKept)
    this.#events = events
    this.#bytes = events.reduce((sum, { json }) => sum + json.length, 0)
    this.#start = 0
  }

  /** The events after `offset`, oldest first. The iterator must be used up in the same turn. */
  *after(offset: number): Generator<StoredEvent> {
    for (let i = this.#indexAfter(offset); i < this.#events.length; i += 1) {
      const event = this.#events[i]
      if (event !== undefined && this.#isKept(i)) yield event
    }
  }

  /** The events with these offsets, of which all are held. */
  pick(offsets: readonly number[]): StoredEvent[] {
    return offsets.flatMap((offset) => this.#events[this.#indexAfter(offset - 1)] ?? [])
  }

  #indexAfter(offset: number): number {
    let low = this.#start
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#events[middle]?.offset ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #isKept(index: number): boolean {
    return (this.#events[index]?.offset ?? 0) > (this.#keepers[index]?.droppedThrough ?? 0)
  }
}
