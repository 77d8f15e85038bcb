import type { StoredEvent } from '../../src/events/log/event-log.ts'
import { familyOf, type HistoryFamily } from '../../src/events/log/stored-event.ts'
import { formatPosition, type Position } from '../../src/protocol/position.ts'
import type { Topic } from '../../src/protocol/topic.ts'

/** An event that was committed, and its place among all that ever were, over all epochs. */
export interface Committed {
  readonly index: number
  readonly epoch: string
  readonly offset: number
  readonly topic: Topic
  readonly json: Buffer
}

/** What was kept at one moment. */
export interface Moment {
  /** How many events had been committed. */
  readonly count: number
  readonly epoch: string
  readonly head: number
  readonly trimmed: Readonly<Record<HistoryFamily, number>>
}

/** Knows everything that was committed and, by the budget alone, what of it is kept. */
export class Ledger {
  /** What was found wrong where nobody catches it: within the calls of the broker. */
  readonly faults: unknown[] = []
  readonly #events: Committed[] = []
  readonly #byPosition = new Map<string, Committed>()
  readonly #budget: number
  #epoch = ''
  #offsets: Record<HistoryFamily, number[]> = { files: [], published: [] }
  #head = 0

  /** @param budget - events of one family that a log keeps */
  constructor(budget: number) {
    this.#budget = budget
  }

  get events(): readonly Committed[] {
    return this.#events
  }

  /** A log was opened: the same one again, or one of a new epoch. */
  open(epoch: string): void {
    if (epoch === this.#epoch) return
    this.#epoch = epoch
    this.#head = 0
    this.#offsets = { files: [], published: [] }
  }

  add({ offset, topic, json }: StoredEvent): void {
    const event = { index: this.#events.length, epoch: this.#epoch, offset, topic, json }
    this.#events.push(event)
    this.#byPosition.set(formatPosition(this.#epoch, offset), event)
    this.#offsets[familyOf(topic)].push(offset)
    this.#head = offset
  }

  at(position: string): Committed | undefined {
    return this.#byPosition.get(position)
  }

  /** The index of the first event after `position`; 0 when no log of here gave it. */
  indexAfter({ epoch, offset }: Position): number {
    if (offset === 0) {
      const first = this.#events.findIndex((event) => event.epoch === epoch)
      if (first !== -1) return first
      return epoch === this.#epoch ? this.#events.length : 0
    }
    const event = this.#byPosition.get(formatPosition(epoch, offset))
    return event === undefined ? 0 : event.index + 1
  }

  moment(): Moment {
    const trimmed = {
      files: this.#offsets.files.at(-this.#budget - 1) ?? 0,
      published: this.#offsets.published.at(-this.#budget - 1) ?? 0,
    }
    return { count: this.#events.length, epoch: this.#epoch, head: this.#head, trimmed }
  }
}

/** True when `event` was committed by then and not kept any more. */
export function isGone(event: Committed, { count, epoch, trimmed }: Moment): boolean {
  if (event.index >= count) return false
  return event.epoch !== epoch || event.offset <= trimmed[familyOf(event.topic)]
}
