import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { CommitListeners } from '../log/commit-listeners.ts'
import type { LogPage, LogQuery, LogReader, Loss, StoredEvent } from '../log/event-log.ts'
import { EventRing } from '../log/event-ring.ts'
import type { HistoryBudget } from '../log/history-budget.ts'
import { readRing } from '../log/read-ring.ts'
import type { Caller } from './calls.ts'

/** Kept here for those who lag a little; who lags more is served by the process of the log. */
const TAIL: HistoryBudget = { events: 20_000, bytes: 16 * 1024 * 1024, ageMs: Infinity }

/**
 * The log as seen from a process that holds streams: it is fed every commit, a moment after the log itself.
 * Positions, order and losses are those of the log.
 */
export class RemoteEventLog implements LogReader {
  readonly epoch: string
  readonly #caller: Pick<Caller<unknown>, 'call'>
  readonly #listeners = new CommitListeners()
  readonly #tail: EventRing
  #head: number
  #advanced = Promise.withResolvers<void>()
  #reading: Promise<unknown> = Promise.resolve()

  /** @param head - everything after it will be fed */
  constructor(epoch: string, head: number, caller: Pick<Caller<unknown>, 'call'>) {
    this.epoch = epoch
    this.#head = head
    this.#tail = new EventRing(TAIL, head)
    this.#caller = caller
  }

  get head(): number {
    return this.#head
  }

  /** Takes what was committed, in order. */
  feed(events: readonly StoredEvent[], through: number): void {
    for (const event of events) this.#tail.push(event, 0)
    this.#head = through
    this.#listeners.tell(events)
    this.#advanced.resolve()
    this.#advanced = Promise.withResolvers<void>()
  }

  async refresh(): Promise<void> {
    const { value } = await this.#caller.call('head', null)
    while (this.#head < value) await this.#advanced.promise
  }

  read(query: LogQuery): LogPage | Promise<LogPage> {
    if (query.after < this.#tail.trimmedThrough) return this.#readThere(query)
    return readRing(this.#tail, query, this.#head)
  }

  lossAfter(after: number, filters: readonly TopicFilter[]): undefined | Promise<Loss | undefined> {
    // Everything after it is here, whatever the log has trimmed since.
    if (after >= this.#tail.trimmedThrough) return undefined
    return this.#caller
      .call('lossAfter', { after, filters })
      .then(({ value }) => value ?? undefined)
  }

  onCommit(listener: (events: readonly StoredEvent[]) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async #readThere(query: LogQuery): Promise<LogPage> {
    // One after the other: the pages of all who lag would otherwise be on the link at once.
    const reading = this.#reading.then(() => this.#caller.call('read', query))
    this.#reading = reading.catch(() => {})
    const { value, events } = await reading
    // The log may be ahead of what was fed: that is delivered when it comes.
    const head = this.#head
    const through = Math.max(Math.min(value.through, head), query.after)
    return { events: events.filter(({ offset }) => offset <= head), through }
  }
}
