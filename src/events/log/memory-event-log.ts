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
import { History } from './history.ts'
import type { HistoryBudget } from './history-budget.ts'
import { pageOf, readRing } from './read-ring.ts'
import { Sequencer } from './sequencer.ts'
import { sizeOf } from './stored-event.ts'
import { TopicDirectory } from './topic-directory.ts'

export interface MemoryEventLogDeps {
  readonly budget: HistoryBudget
  /** Lower-case letters and digits. */
  readonly epoch: string
  /** Milliseconds since the epoch. */
  now(): number
}

/** The history says what goes, and when. */
const UNBOUNDED: HistoryBudget = { events: Infinity, bytes: Infinity, ageMs: Infinity }

/** A log that lives as long as the process: fast, and every start is a new epoch. */
export class MemoryEventLog implements EventLog {
  readonly #now: () => number
  readonly #sequencer: Sequencer
  readonly #history: History
  readonly #ring = new EventRing(UNBOUNDED)
  readonly #topics = new TopicDirectory()
  readonly #listeners = new CommitListeners()
  #head = 0

  constructor({ budget, epoch, now }: MemoryEventLogDeps) {
    this.#now = now
    this.#sequencer = new Sequencer(epoch, 0)
    this.#history = new History(budget, { files: 0, published: 0 })
  }

  get epoch(): string {
    return this.#sequencer.epoch
  }

  get head(): number {
    return this.#head
  }

  get history() {
    return this.#history.sizes
  }

  async append(drafts: readonly EventDraft[]): Promise<readonly Ack[]> {
    const now = this.#now()
    const { fresh, acks } = this.#sequencer.sequence(drafts, now)
    const events = fresh.map(({ event }) => event)
    for (const { draft, event } of fresh) {
      const { topic, offset } = event
      const share = this.#history.add(topic, draft.user, offset, sizeOf(event), now)
      this.#ring.push(event, now, share)
      this.#topics.add(topic, offset, share)
    }
    this.#trim(now)
    this.#head = this.#sequencer.last
    this.#listeners.tell(events)
    return acks
  }

  read(query: LogQuery): LogPage {
    this.#trim(this.#now())
    const { after, filters, limit } = query
    const offsets = this.#topics.find(filters, after, limit)
    if (offsets === undefined) return readRing(this.#ring, query, this.#head)
    return pageOf(this.#ring.pick(offsets), query, this.#head)
  }

  lossAfter(after: number, filters: readonly TopicFilter[]): Loss | undefined {
    return this.#history.lossAfter(after, filters)
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

  #trim(now: number): void {
    this.#history.trim(now)
    // Everything is looked at, hence only when about half of it goes.
    if (this.#ring.size <= 2 * this.#history.events + 1024) return
    this.#ring.sweep()
    this.#topics.sweep()
  }
}
