import type { Database } from '../../database/database.ts'
import type { Statement } from '../../database/statement.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { CommitListeners } from './commit-listeners.ts'
import { DUPLICATE_WINDOW_MS } from './duplicates.ts'
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
import { readRing } from './read-ring.ts'
import { type SequencedEvent, Sequencer } from './sequencer.ts'
import * as sql from './sqlite-event-rows.ts'
import { sizeOf, storeEvent } from './stored-event.ts'
import { TopicDirectory } from './topic-directory.ts'
import { TopicMatcher } from './topic-matcher.ts'

export interface SqliteEventLogDeps {
  /** Shared with the file index; the log does not close it. */
  readonly database: Database
  readonly budget: HistoryBudget
  /** The epoch of a database that has none yet. */
  readonly newEpoch: string
  /** Milliseconds since the epoch. */
  now(): number
}

/** What is kept in memory for those who lag a little. */
const TAIL: HistoryBudget = { events: 20_000, bytes: 16 * 1024 * 1024, ageMs: Infinity }

const TRIM_INTERVAL_MS = 30_000

/** Beyond, a commit takes no more: readers wait behind it. */
const MAX_EVENTS_PER_COMMIT = 4096

/** Bounds what one read of old events holds in memory. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024

/**
 * The durable log: one SQLite database. Appends wait for their commit, which is shared by all that come
 * while the one before is under way; readers that lag a little are served from memory.
 */
export class SqliteEventLog implements EventLog {
  readonly #database: Database
  readonly #now: () => number
  readonly #sequencer: Sequencer
  readonly #history: History
  readonly #topics = new TopicDirectory()
  readonly #tail: EventRing
  readonly #listeners = new CommitListeners()
  readonly #trimTimer: NodeJS.Timeout
  /** What the next commit takes, until it is taken. */
  #gathering: Commit | undefined
  #head: number

  private constructor(deps: SqliteEventLogDeps, state: sql.LogState) {
    this.#database = deps.database
    this.#now = deps.now
    this.#head = state.head
    this.#sequencer = new Sequencer(state.epoch, state.head)
    this.#history = new History(deps.budget, state.lostThrough)
    for (const { topic, user, offset, size, time } of state.events) {
      this.#topics.add(topic, offset, this.#history.add(topic, user, offset, size, time))
    }
    this.#tail = new EventRing(TAIL, state.head)
    for (const { identity, id, offset, topic, time } of state.identities) {
      this.#sequencer.restore({ identity, id, topic }, offset, time)
    }
    this.#trimTimer = setInterval(() => this.#trim(), TRIM_INTERVAL_MS).unref()
  }

  /** Makes the tables when they are missing and takes up where the database left off. */
  static async open(deps: SqliteEventLogDeps): Promise<SqliteEventLog> {
    const log = new SqliteEventLog(deps, await sql.readState(deps))
    log.#trim()
    return log
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

  append(drafts: readonly EventDraft[]): Promise<readonly Ack[]> {
    return this.appendWith(drafts, [])
  }

  /** Appends and runs `companions` in the same transaction: a file's row and its event. */
  async appendWith(
    drafts: readonly EventDraft[],
    companions: readonly Statement[],
  ): Promise<readonly Ack[]> {
    const { fresh, acks } = this.#sequencer.sequence(drafts, this.#now())
    await this.#commit(fresh, companions)
    if (!this.#sequencer.allStand(drafts, acks)) {
      throw new BrokerError('STORAGE_FULL', 'the event that this one repeats could not be stored')
    }
    return acks
  }

  read(query: LogQuery): LogPage | Promise<LogPage> {
    if (query.after < this.#tail.trimmedThrough) return this.#readRows(query)
    return readRing(this.#tail, query, this.#head)
  }

  lossAfter(after: number, filters: readonly TopicFilter[]): Loss | undefined {
    return this.#history.lossAfter(after, filters)
  }

  onCommit(listener: (events: readonly StoredEvent[]) => void): Disposable {
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    clearInterval(this.#trimTimer)
    this.#listeners.clear()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #commit(fresh: readonly SequencedEvent[], companions: readonly Statement[]): Promise<void> {
    // Companions may fail, which is not to be the failure of others: they are alone with their events.
    const isAlone = companions.length > 0
    const commit = (!isAlone && this.#gathering) || this.#begin(companions)
    for (const one of fresh) commit.events.push(one)
    const isFull = isAlone || commit.events.length >= MAX_EVENTS_PER_COMMIT
    this.#gathering = isFull ? undefined : commit
    return commit.done
  }

  #begin(companions: readonly Statement[]): Commit {
    const events: SequencedEvent[] = []
    return { events, done: this.#store(events, companions) }
  }

  /** @param events - which may be added to until the database takes them */
  async #store(events: readonly SequencedEvent[], companions: readonly Statement[]): Promise<void> {
    try {
      await this.#database.commit(() => {
        if (this.#gathering?.events === events) this.#gathering = undefined
        return [...sql.insertions(events), ...companions]
      })
    } catch (cause) {
      if (this.#gathering?.events === events) this.#gathering = undefined
      this.#sequencer.forget(events)
      throw storageError(cause)
    }
    this.#committed(events)
  }

  #committed(committed: readonly SequencedEvent[]): void {
    for (const { draft, event, time } of committed) {
      const { topic, offset } = event
      const share = this.#history.add(topic, draft.user, offset, sizeOf(event), time)
      this.#tail.push(event, time, share)
      this.#topics.add(topic, offset, share)
      this.#head = offset
    }
    this.#listeners.tell(committed.map(({ event }) => event))
    this.#trim()
  }

  async #readRows({ after, filters, limit }: LogQuery): Promise<LogPage> {
    // Everything committed by now is in the rows that the queries see.
    const head = this.#head
    const offsets = this.#topics.find(filters, after, limit)
    if (offsets?.length === 0) return { events: [], through: Math.max(head, after) }
    const selection = offsets === undefined ? { after } : { offsets }
    const sizes = await this.#database.query<sql.SizeRow>(...sql.sizesOf(selection, head, limit))
    const cut = cutAt(sizes, MAX_PAGE_BYTES)
    const looked = offsets ?? sizes.map(({ offset }) => offset)
    const through = cut ?? (looked.length < limit ? head : (looked.at(-1) ?? head))
    const rows = await this.#database.query<sql.EventRow>(...sql.eventsOf(selection, through))
    const matcher = new TopicMatcher(filters)
    const events = rows
      .filter(({ topic }) => matcher.matches(topic as Topic))
      .map(({ offset, topic, json }) => storeEvent(this.epoch, offset, topic as Topic, json))
    return { events, through: Math.max(through, after) }
  }

  #trim(): void {
    const now = this.#now()
    // Everything is looked at, hence only when about half of it goes.
    if (this.#topics.size > 2 * this.#history.events + 1024) this.#topics.sweep()
    const statements = this.#history.trim(now).flatMap(sql.trimming)
    if (statements.length === 0) return
    statements.push(...sql.forgetting(now - DUPLICATE_WINDOW_MS))
    // What could not be dropped now is over the budget until the next start, and harms nobody.
    this.#database.commit(statements).catch(() => {})
  }
}

/** Events that are made durable together. */
interface Commit {
  readonly events: SequencedEvent[]
  /** Resolves when they are told. */
  readonly done: Promise<void>
}

/** The last row before more than `maxBytes` come together (one row at least); undefined for all. */
function cutAt(rows: readonly sql.SizeRow[], maxBytes: number): number | undefined {
  let bytes = 0
  let through: number | undefined
  for (const { offset, size } of rows) {
    bytes += size
    if (bytes > maxBytes && through !== undefined) return through
    through = offset
  }
  return undefined
}

function storageError(cause: unknown): Error {
  const message = (cause as Error).message
  if (/full|disk i\/o|readonly|not be synced/i.test(message)) {
    return new BrokerError('STORAGE_FULL', 'the event log cannot be written', { cause })
  }
  return new Error('the event log failed', { cause })
}
