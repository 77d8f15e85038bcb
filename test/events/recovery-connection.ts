import assert from 'node:assert/strict'
import type { Batch } from '../../src/events/delivery/batch.ts'
import { NDJSON_ENCODING } from '../../src/events/delivery/encoding.ts'
import type { Sink } from '../../src/events/delivery/sink.ts'
import type { Subscribed } from '../../src/events/delivery/subscribe-progress.ts'
import type { StoredEvent } from '../../src/events/log/event-log.ts'
import type { CloseReason } from '../../src/protocol/close-codes.ts'
import { formatPosition, type Since } from '../../src/protocol/position.ts'
import { filterMatches, type TopicFilter } from '../../src/protocol/topic-filter.ts'
import type { Committed, Ledger, Moment } from './recovery-ledger.ts'
import type { Permissions } from './recovery-permissions.ts'

/** What a client asks for, by which it knows the answer. */
export interface Wish {
  readonly filters: readonly TopicFilter[]
}

/** One thing that the broker told on a connection, in the order of the wire. */
export type Message =
  | {
      readonly kind: 'accepted'
      readonly wish: Wish
      readonly since: Since
      readonly position: string
      readonly recovered: boolean
      readonly moment: Moment
    }
  | { readonly kind: 'replayed'; readonly position: string }
  | { readonly kind: 'position'; readonly position: string }
  | { readonly kind: 'event'; readonly position: string; readonly event: Committed }
  | {
      readonly kind: 'gap'
      readonly position: string
      readonly since: string
      readonly reason: string
      readonly moment: Moment
      /** It speaks of as many of the events, from the first on. */
      readonly count: number
    }

export function offsetOf(position: string): number {
  return Number(position.split(':')[1])
}

/** A socket that a test fills and empties by hand; judges the order of what it is given. */
export class Connection implements Sink {
  readonly encoding = NDJSON_ENCODING
  readonly transport = 'ndjson'
  readonly isResumable: boolean
  readonly transcript: Message[] = []
  backlogBytes = 0
  takenBytes = 0
  ended: CloseReason | undefined
  readonly #ledger: Ledger
  readonly #permissions: Permissions
  readonly #tellsReplays: boolean
  readonly #filters = new Map<TopicFilter, number>()
  readonly #seen = new Set<number>()
  #drained: (() => void)[] = []
  #isClosed = false
  /** How far the connection has come. */
  #main = 0
  /** How far a replay has come, and for which filters; undefined when none is under way. */
  #replay: { at: number; readonly filters: readonly TopicFilter[] } | undefined

  constructor(
    ledger: Ledger,
    permissions: Permissions,
    {
      isResumable,
      tellsReplays,
    }: { readonly isResumable: boolean; readonly tellsReplays: boolean },
  ) {
    this.#ledger = ledger
    this.#permissions = permissions
    this.isResumable = isResumable
    this.#tellsReplays = tellsReplays
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.ended === undefined
  }

  /** @param moment - when the broker said so */
  accepted(
    wish: Wish,
    since: Since,
    { position, recovered }: Subscribed,
    moment = this.#ledger.moment(),
  ): void {
    this.#judge(() => {
      const start = offsetOf(position)
      const { filters } = wish
      for (const filter of filters) {
        this.#filters.set(filter, Math.min(start, this.#filters.get(filter) ?? start))
      }
      if (since === 'latest') this.#main = Math.max(start, this.#main)
      else if (this.#tellsReplays) this.#replay = { at: start, filters }
      // What is live follows the replay without a word: from here on all goes up.
      else this.#main = start
      this.transcript.push({ kind: 'accepted', wish, since, position, recovered, moment })
    })
  }

  replayed(position: string): void {
    this.#judge(() => {
      assert.ok(offsetOf(position) >= (this.#replay?.at ?? 0), 'the end of a replay goes back')
      this.#replay = undefined
      this.#advance(offsetOf(position), false, `the replay ends at ${position}`)
      this.transcript.push({ kind: 'replayed', position })
    })
  }

  deliver({ events }: Batch): void {
    for (const event of events) this.told(event)
  }

  /**
   * @param moment - when the broker said so
   * @param count - of how many of the events it speaks
   */
  told(event: StoredEvent, moment = this.#ledger.moment(), count = moment.count): void {
    this.#judge(() => {
      if (event.topic === 'broker/missed') this.#gap(event, moment, count)
      else this.#event(event)
    })
  }

  position(position: string): void {
    this.#judge(() => {
      assert.equal(this.#replay, undefined, 'a position is told in the middle of a replay')
      this.#advance(offsetOf(position), false, `a notice of ${position}`)
      this.transcript.push({ kind: 'position', position })
    })
  }

  onceDrained(callback: () => void): void {
    if (this.backlogBytes === 0 || !this.isOpen) callback()
    else this.#drained.push(callback)
  }

  end(reason: CloseReason): void {
    this.ended = reason
    queueMicrotask(() => this.drain())
  }

  /** The kernel takes everything. */
  drain(): void {
    this.backlogBytes = 0
    const callbacks = this.#drained
    this.#drained = []
    for (const callback of callbacks) callback()
  }

  close(): void {
    this.#isClosed = true
    this.drain()
  }

  #event({ offset, topic, json }: StoredEvent): void {
    const { epoch } = this.#ledger.moment()
    const position = formatPosition(epoch, offset)
    const event = this.#ledger.at(position)
    assert.ok(event !== undefined, `${position} was never committed`)
    assert.ok(json.equals(event.json), `${position} came with other bytes`)
    assert.equal(topic, event.topic)
    assert.ok(!this.#seen.has(offset), `${position} came twice on one connection`)
    this.#seen.add(offset)
    this.#advance(offset, true, `event ${position}`)
    const isAsked = [...this.#filters].some(
      ([filter, after]) => offset > after && filterMatches(filter, topic),
    )
    assert.ok(isAsked, `${position} on ${topic} was not asked for`)
    assert.ok(this.#permissions.ever(event), `${position} on ${topic} is not permitted`)
    this.transcript.push({ kind: 'event', position, event })
  }

  #gap({ json, offset }: StoredEvent, moment: Moment, count: number): void {
    const { position, data } = JSON.parse(json.toString())
    assert.equal(data.resumed, position)
    this.#advance(offset, false, `a gap that resumes at ${position}`)
    const { since, reason } = data
    this.transcript.push({ kind: 'gap', position, since, reason, moment, count })
  }

  #advance(offset: number, isEvent: boolean, what: string): void {
    const at = this.#replay?.at ?? this.#main
    assert.ok(isEvent ? offset > at : offset >= at, `${what} comes after ${at}`)
    if (this.#replay === undefined) this.#main = offset
    else this.#replay.at = offset
  }

  #judge(take: () => void): void {
    try {
      assert.ok(this.isOpen, 'something was told on a connection that is over')
      take()
    } catch (fault) {
      this.#ledger.faults.push(fault)
    }
  }
}
