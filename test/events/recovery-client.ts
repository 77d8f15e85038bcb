import assert from 'node:assert/strict'
import type { Rights } from '../../src/auth/principal.ts'
import type { Delivery } from '../../src/events/delivery/delivery.ts'
import { Stream } from '../../src/events/delivery/stream.ts'
import type { EventLog } from '../../src/events/log/event-log.ts'
import { familyOf } from '../../src/events/log/stored-event.ts'
import { formatPosition, parsePosition, type Since } from '../../src/protocol/position.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { patternsOverlap } from '../../src/protocol/segment-pattern.ts'
import { filterMatches, type TopicFilter } from '../../src/protocol/topic-filter.ts'
import { Connection, type Message, offsetOf } from './recovery-connection.ts'
import { type Committed, isGone, type Ledger, type Moment } from './recovery-ledger.ts'
import { Permissions } from './recovery-permissions.ts'

/** What a door tells beside events: everything, where a stream starts, or nothing. */
export type Door = 'session' | 'server-sent-events' | 'web-socket-stream' | 'lines'

/** What a client asked for at one time and has wanted ever since. */
interface Interest {
  filters: readonly TopicFilter[]
  readonly since: Since
  /** Where the client would resume; undefined until something told it. */
  position: string | undefined
  /** Index of the first event that it is owed; undefined until the broker said so. */
  owedFrom: number | undefined
  readonly missed: Missed[]
}

/** What the client knows to be lost. */
interface Missed {
  readonly moment: Moment
  /** After it; undefined when everything that is gone is meant. */
  readonly since: string | undefined
}

type Accepted = Message & { readonly kind: 'accepted' }

/** A client that resumes by the book: it knows only what reached it before a connection broke. */
export class ModelClient {
  readonly #ledger: Ledger
  readonly #permissions: Permissions
  readonly #door: Door
  readonly #interests: Interest[] = []
  readonly #received = new Set<Committed>()
  #connection: Connection | undefined
  #stream: Stream | undefined
  /** Messages of the connection that the client has read. */
  #read = 0
  #accepted: Interest[] = []
  #replaying: Interest | undefined
  /** Of a door that does not tell it: known only by what comes after it. */
  #untold: { readonly interest: Interest; readonly accepted: Accepted } | undefined
  #last: string | undefined
  /** Subscriptions of its own will: those that overlap may bring an event again on another connection. */
  #asked = 0
  /** Subscriptions that wait for their turn. */
  #pending = 0

  constructor(ledger: Ledger, door: Door, rights: Rights) {
    this.#ledger = ledger
    this.#door = door
    this.#permissions = new Permissions(rights)
  }

  get isConnected(): boolean {
    return this.#connection?.isOpen === true
  }

  get hasInterests(): boolean {
    return this.#interests.length > 0
  }

  get last(): string | undefined {
    return this.#last
  }

  /** Connects if need be, resuming what it wanted before, and asks for more. */
  subscribe(
    services: { readonly log: EventLog; readonly delivery: Delivery },
    filters: readonly TopicFilter[],
    since: Since | 'last',
  ): void {
    if (!this.isConnected) this.connect(services)
    this.receive(1)
    if (this.#door !== 'session' && this.hasInterests) return
    const last = this.#last === undefined ? undefined : parsePosition(this.#last)
    const from = since === 'last' ? (last?.ok ? last.value : 'latest') : since
    const interest = { filters, since: from, position: undefined, owedFrom: undefined, missed: [] }
    this.#asked += 1
    this.#interests.push(interest)
    this.#ask(interest)
  }

  connect(services: { readonly log: EventLog; readonly delivery: Delivery }): void {
    this.drop(1)
    const isResumable = this.#door === 'session' || this.#door === 'web-socket-stream'
    const sink = new Connection(this.#ledger, this.#permissions, isResumable)
    this.#connection = sink
    this.#stream = new Stream({ ...services, sink }, this.#permissions.principal)
    for (const interest of [...this.#interests]) this.#ask(interest)
  }

  /** The connection breaks; of what was not read yet the client gets the first `fraction`. */
  drop(fraction: number): void {
    this.receive(fraction)
    this.#stream?.[Symbol.dispose]()
    this.#connection?.close()
    this.#connection = undefined
    this.#stream = undefined
    this.#read = 0
    this.#accepted = []
    this.#replaying = undefined
    this.#untold = undefined
  }

  stall(bytes: number): void {
    if (this.#connection !== undefined && this.isConnected) this.#connection.backlogBytes = bytes
  }

  drain(): void {
    this.#connection?.drain()
  }

  tick(): void {
    if (this.isConnected) this.#stream?.tick(-1)
  }

  judge(rights: Rights): void {
    this.#permissions.change(rights, this.#ledger.events.length)
    if (this.isConnected) this.#stream?.judge(this.#permissions.principal)
    // A filter of which nothing may be received any more is taken away for good.
    for (const interest of [...this.#interests]) {
      interest.filters = interest.filters.filter((filter) => rights.overlaps('subscribe', filter))
      if (interest.filters.length === 0) this.#forget(interest)
    }
  }

  /** True when the stream says that it is live and at `head`. */
  isAt(head: number): boolean {
    if (!this.isConnected || this.#pending > 0) return false
    this.tick()
    const message = this.#connection?.transcript.at(-1)
    return message?.kind === 'position' && offsetOf(message.position) === head
  }

  receive(fraction: number): void {
    const transcript = this.#connection?.transcript ?? []
    const end = this.#read + Math.round((transcript.length - this.#read) * fraction)
    for (; this.#read < end; this.#read += 1) {
      const message = transcript[this.#read]
      if (message !== undefined) this.#take(message)
    }
  }

  /** Everything that the client is owed has reached it, or was told to be lost. */
  check(): void {
    for (const interest of this.#interests) {
      if (interest.owedFrom === undefined) continue
      for (const event of this.#ledger.events.slice(interest.owedFrom)) {
        if (!interest.filters.some((filter) => filterMatches(filter, event.topic))) continue
        if (!this.#permissions.always(event) || this.#received.has(event)) continue
        const isTold = interest.missed.some((missed) => covers(missed, event))
        assert.ok(isTold, `${event.epoch}:${event.offset} on ${event.topic} is silently lost`)
      }
    }
  }

  #ask(interest: Interest): void {
    const { filters } = interest
    const stream = this.#stream
    const connection = this.#connection
    if (stream === undefined || connection === undefined) return
    const position = interest.position === undefined ? undefined : parsePosition(interest.position)
    const since = position?.ok ? position.value : interest.since
    const { rights } = this.#permissions.principal
    const subscribed = stream.subscribe(filters, since, {
      accepted: (subscribed) => {
        connection.accepted(filters, since, subscribed)
        const message = connection.transcript.at(-1)
        if (message?.kind === 'accepted') this.#interestOf.set(message, interest)
      },
      replayed: (at) => connection.replayed(at),
    })
    this.#pending += 1
    const refused = (error: unknown) => {
      if (!connection.isOpen) return
      const isRight =
        error instanceof BrokerError &&
        error.code === 'FORBIDDEN' &&
        filters.some((filter) => !rights.overlaps('subscribe', filter))
      if (!isRight) this.#ledger.faults.push(error)
      this.#forget(interest)
    }
    void subscribed.catch(refused).finally(() => {
      this.#pending -= 1
    })
  }

  readonly #interestOf = new WeakMap<Message, Interest>()

  #take(message: Message): void {
    switch (message.kind) {
      case 'accepted': {
        const interest = this.#interestOf.get(message)
        if (interest !== undefined) this.#takeAccepted(interest, message)
        break
      }
      case 'replayed':
      case 'position':
        if (message.kind === 'replayed') this.#replaying = undefined
        // The protocol of a session says both in the same words; plain WebSockets and lines say neither.
        if (this.#door === 'session') this.#advance(message.position)
        else if (this.#door === 'server-sent-events' && message.kind === 'position') {
          this.#advance(message.position)
        }
        break
      case 'gap':
        this.#start()
        checkGap(message, this.#accepted, this.#ledger)
        for (const { missed } of this.#concerned()) missed.push(missedBy(message))
        this.#advance(message.position)
        break
      case 'event':
        this.#start()
        if (this.#asked === 1) {
          assert.ok(
            !this.#received.has(message.event),
            `${message.position} came to a client twice`,
          )
        }
        this.#received.add(message.event)
        this.#advance(message.position)
    }
  }

  #takeAccepted(interest: Interest, accepted: Accepted): void {
    this.#accepted.push(interest)
    if (accepted.since !== 'latest') this.#replaying = interest
    this.#untold = { interest, accepted }
    const isTold = accepted.recovered && this.#door === 'server-sent-events'
    if (this.#door === 'session' || isTold) this.#start()
  }

  /** From where on the client is owed everything: where the broker first started to serve it. */
  #start(): void {
    if (this.#untold === undefined) return
    const { interest, accepted } = this.#untold
    this.#untold = undefined
    const { since, position, moment, recovered } = accepted
    if (this.#door === 'session' || (this.#door === 'server-sent-events' && recovered)) {
      interest.position = position
      this.#last = position
    }
    if (this.#door === 'session' && !recovered && typeof since === 'object') {
      const isOther = since.epoch !== moment.epoch || since.offset > moment.head
      interest.missed.push({
        moment,
        since: isOther ? undefined : formatPosition(since.epoch, since.offset),
      })
    }
    if (interest.owedFrom !== undefined) return
    if (since === 'latest') interest.owedFrom = moment.count
    else if (since === 'earliest') {
      interest.owedFrom = 0
      interest.missed.push({ moment, since: undefined })
    } else interest.owedFrom = this.#ledger.indexAfter(since)
  }

  #forget(interest: Interest): void {
    const index = this.#interests.indexOf(interest)
    if (index !== -1) this.#interests.splice(index, 1)
  }

  #concerned(): readonly Interest[] {
    return this.#replaying === undefined ? this.#accepted : [this.#replaying]
  }

  #advance(position: string): void {
    for (const interest of this.#concerned()) interest.position = position
    this.#last = position
  }
}

function missedBy({ moment, since, reason }: Message & { readonly kind: 'gap' }): Missed {
  return { moment, since: reason === 'epoch' ? undefined : since }
}

function covers({ moment, since }: Missed, event: Committed): boolean {
  if (!isGone(event, moment)) return false
  return (
    since === undefined || !since.startsWith(`${event.epoch}:`) || event.offset > offsetOf(since)
  )
}

/** A gap is told only when something that could concern its reader is gone. */
function checkGap(
  { since, moment, reason }: Message & { readonly kind: 'gap' },
  interests: readonly Interest[],
  ledger: Ledger,
): void {
  const isOther = !since.startsWith(`${moment.epoch}:`) || offsetOf(since) > moment.head
  assert.equal(reason === 'epoch', isOther)
  if (isOther) return
  const filters = interests.flatMap((interest) => interest.filters)
  const isReal = ledger.events.some(
    (event) =>
      event.epoch === moment.epoch &&
      event.offset > offsetOf(since) &&
      isGone(event, moment) &&
      (familyOf(event.topic) === 'published' ||
        filters.some((filter) => patternsOverlap('files/**', filter))),
  )
  assert.ok(isReal, `a gap after ${since} is told and nothing is gone`)
}
