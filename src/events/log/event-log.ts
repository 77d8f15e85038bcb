import type { Position } from '../../protocol/position.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'

/** An event that is ready to be given a position. */
export interface EventDraft {
  readonly topic: Topic
  /** The CloudEvents `id`. */
  readonly id: string
  /** The event's JSON object on one line, without `position` and without its closing brace. */
  readonly json: string
  /** The publishing user; null for anonymous and for the broker itself. */
  readonly user: string | null
  /** What tells that two publishes of one user are the same: given when the client chose an id. */
  readonly identity?: string
}

/** An event with its position, as every door sends it. */
export interface StoredEvent {
  readonly offset: number
  readonly topic: Topic
  /** The whole JSON object on one line, `position` last. Shared: never written to. */
  readonly json: Buffer
}

/** What a publisher is told. */
export interface Ack {
  readonly id: string
  readonly offset: number
  /** True when an event with this identity was already there: nothing was stored. */
  readonly duplicate: boolean
}

/** A stretch of the log, read in the order of offsets. */
export interface LogPage {
  readonly events: readonly StoredEvent[]
  /** All events up to here were looked at: read on after it. */
  readonly through: number
}

export interface LogQuery {
  /** Events after this offset. */
  readonly after: number
  /** An event that matches any of these. */
  readonly filters: readonly TopicFilter[]
  /** Most events to return. */
  readonly limit: number
}

/** A stretch of which events that `filters` could match are no longer kept. */
export interface Loss {
  /** Nothing of what is kept lies between `after` and here: read on after it. */
  readonly resumed: number
  /** Nothing is lost after it. */
  readonly through: number
}

/** What a subscriber is served from. The log itself may be in another process. */
export interface LogReader {
  /** Changes when positions of before no longer mean anything. */
  readonly epoch: string
  /** The offset of the newest committed event that is known here; 0 when there was none. */
  readonly head: number

  /** Of a log in another process: resolves when `head` covers what was acknowledged before the call. */
  refresh?(): Promise<void>

  /** Reads a stretch; synchronously when memory holds it. */
  read(query: LogQuery): LogPage | Promise<LogPage>

  /** What is lost to someone who reads on after `after`; undefined when nothing is. */
  lossAfter(
    after: number,
    filters: readonly TopicFilter[],
  ): Loss | undefined | Promise<Loss | undefined>

  /** Calls `listener` with every commit, in order, before its `append` resolves. */
  onCommit(listener: (events: readonly StoredEvent[]) => void): Disposable
}

/**
 * The one ordered record of everything that happened: the only place that assigns positions.
 * Implementations pass `test/contract/event-log.ts`.
 */
export interface EventLog extends LogReader, AsyncDisposable {
  /**
   * Stores all of `drafts` or none, and resolves after they are committed: an acknowledged event survives
   * what the implementation promises. Offsets are given in the order of calls.
   *
   * @throws {BrokerError} `EVENT_CONFLICT` for a known identity on another topic; `STORAGE_FULL`
   */
  append(drafts: readonly EventDraft[]): Promise<readonly Ack[]>

  /** What is kept of each family. */
  readonly history: { readonly files: HistorySize; readonly published: HistorySize }

  close(): Promise<void>
}

export interface HistorySize {
  readonly events: number
  readonly bytes: number
}

/** True when `position` is one that `log` gave and still can continue from by number. */
export function isOfLog(position: Position, log: LogReader): boolean {
  return position.epoch === log.epoch && position.offset <= log.head
}
