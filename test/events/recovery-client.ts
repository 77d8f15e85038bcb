import assert from 'node:assert/strict'
import type { Rights } from '../../src/auth/principal.ts'
import { formatPosition, parsePosition, type Since } from '../../src/protocol/position.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { filterMatches, type TopicFilter } from '../../src/protocol/topic-filter.ts'
import { Connection, type Message, offsetOf, type Wish } from './recovery-connection.ts'
import { DealerLink } from './recovery-dealer.ts'
import type { Committed, Ledger } from './recovery-ledger.ts'
import { type Link, type LinkServices, StreamLink } from './recovery-link.ts'
import { checkGap, covers, type Missed, missedBy } from './recovery-loss.ts'
import { PageLink } from './recovery-page.ts'
import { Permissions } from './recovery-permissions.ts'

const DOORS = {
  session: {
    ...{ isResumable: true, tellsReplays: true, takesCommands: true },
    ...{ tellsStart: true, tellsPositions: true },
  },
  'server-sent-events': { isResumable: false, tellsReplays: true, tellsPositions: true },
  'web-socket-stream': { isResumable: true, tellsReplays: true },
  lines: { isResumable: false, tellsReplays: true },
  page: {
    ...{ isResumable: false, tellsReplays: false, takesOneFilter: true },
    ...{ tellsStart: true, tellsPositions: true },
  },
  dealer: {
    ...{ isResumable: false, tellsReplays: false, takesCommands: true, takesOneFilter: true },
    ...{ tellsStart: true, tellsPositions: true },
  },
} as const satisfies Record<string, DoorTraits>

/** Where a client connects. */
export type Door = keyof typeof DOORS

interface DoorTraits {
  /** A client that falls behind is sent away, not told of it. */
  readonly isResumable: boolean
  /** The model knows when a replay ends: what comes then is not mixed with it. */
  readonly tellsReplays: boolean
  /** A client hears from where on it is served, before anything else. */
  readonly tellsStart?: boolean
  /** A client hears how far it has come while it is quiet. */
  readonly tellsPositions?: boolean
  /** A client can ask for more at any time ... */
  readonly takesCommands?: boolean
  /** ... and for each filter on its own. */
  readonly takesOneFilter?: boolean
}

/** What a client asked for at one time and has wanted ever since. */
interface Interest {
  readonly asked: readonly TopicFilter[]
  /** Those of which something may be received. */
  filters: readonly TopicFilter[]
  readonly since: Since
  /** Where the client would resume; undefined until something told it. */
  position: string | undefined
  /** Index of the first event that it is owed; undefined until the broker said so. */
  owedFrom: number | undefined
  readonly missed: Missed[]
}

type Accepted = Message & { readonly kind: 'accepted' }

/** A client that resumes by the book: it knows only what reached it before a connection broke. */
export class ModelClient {
  readonly #ledger: Ledger
  readonly #permissions: Permissions
  readonly #door: Door
  readonly #traits: DoorTraits
  readonly #interests: Interest[] = []
  readonly #interestOf = new WeakMap<Wish, Interest>()
  readonly #received = new Set<Committed>()
  #connection: Connection | undefined
  #link: Link | undefined
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
    this.#traits = DOORS[door]
    this.#permissions = new Permissions(rights)
  }

  get isConnected(): boolean {
    return this.#connection?.isOpen === true
  }

  get hasInterests(): boolean {
    return this.#interests.length > 0
  }

  /** Connects if need be, resuming what it wanted before, and asks for more. */
  subscribe(services: LinkServices, filters: readonly TopicFilter[], since: Since | 'last'): void {
    if (!this.isConnected) this.connect(services)
    this.receive(1)
    if (!this.#traits.takesCommands && this.hasInterests) return
    const last = this.#last === undefined ? undefined : parsePosition(this.#last)
    const from = since === 'last' ? (last?.ok ? last.value : 'latest') : since
    for (const group of this.#traits.takesOneFilter ? filters.map((one) => [one]) : [filters]) {
      this.#want(group, from)
      if (!this.#traits.takesCommands) break
    }
  }

  connect(services: LinkServices): void {
    this.drop(1)
    const connection = new Connection(this.#ledger, this.#permissions, this.#traits)
    this.#connection = connection
    this.#link = this.#open(services, connection)
    for (const interest of [...this.#interests]) this.#ask(interest)
  }

  /** The connection breaks; of what was not read yet the client gets the first `fraction`. */
  drop(fraction: number): void {
    this.receive(this.#door === 'page' ? Math.round(fraction) : fraction)
    this.#link?.[Symbol.dispose]()
    this.#connection?.close()
    this.#connection = undefined
    this.#link = undefined
    this.#read = 0
    this.#accepted = []
    this.#replaying = undefined
    this.#untold = undefined
  }

  stall(bytes: number): void {
    if (this.isConnected) this.#link?.stall(bytes)
  }

  drain(): void {
    this.#link?.drain()
  }

  tick(): void {
    if (this.isConnected) this.#link?.tick()
  }

  judge(rights: Rights): void {
    this.#permissions.change(rights, this.#ledger.events.length)
    if (this.isConnected) this.#link?.judge()
    // A filter of which nothing may be received any more is taken away for good.
    for (const interest of [...this.#interests]) {
      interest.filters = interest.filters.filter((filter) => rights.overlaps('subscribe', filter))
      if (interest.filters.length === 0) this.#forget(interest)
    }
    if (this.#door === 'page' && !this.hasInterests) this.drop(1)
  }

  /** True when the client was told that it has everything through `head`. */
  isAt(head: number): boolean {
    return this.isConnected && this.#link?.isAt(head) === true && this.#pending === 0
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
        const what = `${event.epoch}:${event.offset} on ${event.topic}`
        assert.ok(isTold, `${what} is silently lost to a client of the door ${this.#door}`)
      }
    }
  }

  #open(services: LinkServices, connection: Connection): Link {
    const permissions = this.#permissions
    if (this.#door === 'dealer') {
      return new DealerLink(services, connection, permissions, this.#ledger)
    }
    if (this.#door === 'page') {
      const read = () => this.receive(1)
      return new PageLink(services, connection, { permissions, ledger: this.#ledger, read })
    }
    return new StreamLink(services, connection, permissions)
  }

  #want(filters: readonly TopicFilter[], since: Since): void {
    const unknown = { position: undefined, owedFrom: undefined, missed: [] }
    const interest: Interest = { asked: filters, filters, since, ...unknown }
    this.#asked += 1
    this.#interests.push(interest)
    this.#ask(interest)
  }

  #ask(interest: Interest): void {
    const link = this.#link
    const connection = this.#connection
    if (link === undefined || connection === undefined) return
    const position = interest.position === undefined ? undefined : parsePosition(interest.position)
    const since = position?.ok ? position.value : interest.since
    const { filters } = interest
    const wish: Wish = { filters }
    this.#interestOf.set(wish, interest)
    const { rights } = this.#permissions.principal
    this.#pending += 1
    const refused = (error: unknown) => {
      if (!connection.isOpen) return
      // A command may have waited: what counts is what is allowed when its turn has come.
      const isForbidden = [rights, this.#permissions.principal.rights].some((rights) =>
        filters.some((filter) => !rights.overlaps('subscribe', filter)),
      )
      const isRight = error instanceof BrokerError && error.code === 'FORBIDDEN' && isForbidden
      if (!isRight) this.#ledger.faults.push(error)
      this.#forget(interest)
    }
    void link
      .ask(wish, since)
      .catch(refused)
      .finally(() => {
        this.#pending -= 1
      })
  }

  #take(message: Message): void {
    switch (message.kind) {
      case 'accepted': {
        const interest = this.#interestOf.get(message.wish)
        if (interest !== undefined) this.#takeAccepted(interest, message)
        break
      }
      case 'replayed':
        this.#replaying = undefined
        // The protocol of a session says both in the same words.
        if (this.#door === 'session') this.#advance(message.position)
        break
      case 'position':
        if (this.#traits.tellsPositions) this.#advance(message.position)
        break
      case 'gap': {
        this.#start()
        const filters = this.#accepted.flatMap(({ asked }) => asked)
        checkGap(message, filters, this.#ledger)
        for (const { missed } of this.#concerned()) missed.push(missedBy(message))
        this.#advance(message.position)
        break
      }
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
    if (accepted.since !== 'latest' && this.#traits.tellsReplays) this.#replaying = interest
    this.#untold = { interest, accepted }
    if (this.#isStartTold(accepted)) this.#start()
  }

  /** Server-sent events tell it when nothing is lost. */
  #isStartTold({ recovered }: Accepted): boolean {
    return this.#traits.tellsStart === true || (recovered && this.#door === 'server-sent-events')
  }

  /** From where on the client is owed everything: where the broker first started to serve it. */
  #start(): void {
    if (this.#untold === undefined) return
    const { interest, accepted } = this.#untold
    this.#untold = undefined
    const { since, position, moment, recovered } = accepted
    if (this.#isStartTold(accepted)) {
      interest.position = position
      this.#last = position
    }
    if (this.#traits.tellsStart && !recovered && typeof since === 'object') {
      const isOther = since.epoch !== moment.epoch || since.offset > moment.head
      const from = isOther ? undefined : formatPosition(since.epoch, since.offset)
      interest.missed.push({ moment, since: from })
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
    for (const interest of this.#concerned()) {
      // Where replays are not told from what is live, those of before have come further.
      if (this.#traits.tellsReplays || !isAhead(interest.position, position)) {
        interest.position = position
      }
    }
    this.#last = position
  }
}

function isAhead(one: string | undefined, other: string): boolean {
  const [epoch] = other.split(':')
  return one?.startsWith(`${epoch}:`) === true && offsetOf(one) > offsetOf(other)
}
