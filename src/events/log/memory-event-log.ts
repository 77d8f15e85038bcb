import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { CommitListeners } from './commit-listeners.ts'
import type {
  Ack,
  EventDraft,
  EventLog,
  LogPage,
  LogQuery,
  Loss,
  StoredEvent,
} from './event-log.ts'
import { EventRing } from './event-ring.ts'
import { type HistoryBudget, lossOf } from './history-budget.ts'
import { readRings } from './read-rings.ts'
import { Sequencer } from './sequencer.ts'
import { familyOf } from './stored-event.ts'

export interface MemoryEventLogDeps {
  readonly budget: HistoryBudget
  /** Lower-case letters and digits. */
  readonly epoch: string
  /** Milliseconds since the epoch. */
  now(): number
}

/** A log that lives as long as the process: fast, and every start is a new epoch. */
export class MemoryEventLog implements EventLog {
  readonly #now: () => number
  readonly #sequencer: Sequencer
  readonly #rings: { readonly files: EventRing; readonly published: EventRing }
  readonly #listeners = new CommitListeners()
  #head = 0

  constructor({ budget, epoch, now }: MemoryEventLogDeps) {
    this.#now = now
    this.#sequencer = new Sequencer(epoch, 0)
    this.#rings = { files: new EventRing(budget), published: new EventRing(budget) }
  }

  get epoch(): string {
    return this.#sequencer.epoch
  }

  get head(): number {
    return this.#head
  }

  async append(drafts: readonly EventDraft[]): Promise<readonly Ack[]> {
    const now = this.#now()
    const { fresh, acks } = this.#sequencer.sequence(drafts, now)
    const events: StoredEvent[] = []
    for (const { event } of fresh) {
      this.#rings[familyOf(event.topic)].push(event, now)
      events.push(event)
    }
    this.#head = this.#sequencer.last
    this.#listeners.tell(events)
    return acks
  }

  read(query: LogQuery): LogPage {
    const now = this.#now()
    this.#rings.files.trim(now)
    this.#rings.published.trim(now)
    return readRings([this.#rings.files, this.#rings.published], query, this.#head)
  }

  lossAfter(after: number, filters: readonly TopicFilter[]): Loss | undefined {
    const { files, published } = this.#rings
    const trimmed = { files: files.trimmedThrough, published: published.trimmedThrough }
    return lossOf(trimmed, after, filters)
  }

  onCommit(listener: (events: readonly StoredEvent[]) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
