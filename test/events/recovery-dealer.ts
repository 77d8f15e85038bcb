import assert from 'node:assert/strict'
import type { Identities } from '../../src/auth/principal.ts'
import { Publisher } from '../../src/events/publish/publisher.ts'
import { ZmqIntake } from '../../src/events/zmq/zmq-intake.ts'
import { type Sender, type ZmqMessage, ZmqOutbox } from '../../src/events/zmq/zmq-outbox.ts'
import { ZmqPublishing } from '../../src/events/zmq/zmq-publishing.ts'
import { zeroCounters } from '../../src/events/zmq/zmq-report.ts'
import { ZmqSession } from '../../src/events/zmq/zmq-session.ts'
import { formatPosition, type Since } from '../../src/protocol/position.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import { type Connection, offsetOf, type Wish } from './recovery-connection.ts'
import type { Ledger, Moment } from './recovery-ledger.ts'
import { type Link, type LinkServices, ModelConnections } from './recovery-link.ts'
import type { Permissions } from './recovery-permissions.ts'

const TOKEN = 'tester-1'

/** A command that was not answered yet. */
interface Waiting {
  answered(verb: string, body: Answer, moment: Moment): void
  abandoned(): void
}

interface Answer {
  readonly position: string
  readonly recovered: boolean
  readonly ends?: string
  readonly code: string
}

/** A DEALER, whose frames are given to its session and taken from it by hand. */
export class DealerLink implements Link {
  readonly #ledger: Ledger
  readonly #connection: Connection
  readonly #connections: ModelConnections
  readonly #session: ZmqSession
  readonly #outbox: WatchedOutbox
  /** In the order in which they were sent, which is that of their answers. */
  readonly #waiting: Waiting[] = []
  #isPinging = false
  #isStalled = false
  #isClosed = false

  constructor(
    services: LinkServices,
    connection: Connection,
    permissions: Permissions,
    ledger: Ledger,
  ) {
    this.#ledger = ledger
    this.#connection = connection
    this.#connections = new ModelConnections(permissions)
    this.#outbox = new WatchedOutbox({ send: (frames) => this.#send(frames) }, ledger)
    const publisher = new Publisher({ log: services.log, maxEventBytes: 1024 })
    const error = (fields: unknown) => ledger.faults.push(fields)
    this.#session = new ZmqSession(
      {
        ...services,
        publisher,
        connections: this.#connections,
        identities: identitiesOf(permissions),
        intake: new ZmqIntake(),
        publishing: new ZmqPublishing(publisher),
        logger: { info: () => {}, warn: () => {}, error },
        counters: zeroCounters(),
      },
      this.#outbox,
    )
  }

  ask(wish: Wish, since: Since): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({
      answered: (verb, body, moment) => {
        if (verb === 'ERROR') return reject(new BrokerError(body.code as 'FORBIDDEN', 'refused'))
        this.#connection.accepted(wish, since, body, moment)
        resolve()
      },
      abandoned: resolve,
    })
    const [filter = ''] = wish.filters
    const from = typeof since === 'string' ? since : formatPosition(since.epoch, since.offset)
    this.#command('SUBSCRIBE', TOKEN, filter, from)
    return promise
  }

  judge(): void {
    this.#connections.judgeAll()
  }

  stall(bytes: number): void {
    this.#isStalled = true
    this.#outbox.send({ isEvent: true, frames: [FILLER.subarray(0, bytes)] })
  }

  drain(): void {
    this.#isStalled = false
  }

  tick(): void {
    this.#connections.tick()
  }

  isAt(head: number): boolean {
    const message = this.#connection.transcript.at(-1)
    if (message?.kind === 'position' && offsetOf(message.position) === head) return true
    if (this.#isPinging) return false
    this.#isPinging = true
    this.#waiting.push({
      answered: (_, { position }) => {
        this.#isPinging = false
        this.#connection.position(position)
      },
      abandoned: () => {},
    })
    this.tick()
    this.#command('PING')
    return false
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#session[Symbol.dispose]()
    this.#connections[Symbol.dispose]()
    for (const { abandoned } of this.#waiting) abandoned()
  }

  #command(...frames: readonly string[]): void {
    this.#session.receive(frames.map((frame) => Buffer.from(frame)))
  }

  /** What libzmq does: takes it, or says that the peer is full. */
  async #send(frames: readonly (string | Buffer)[]): Promise<void> {
    if (this.#isStalled) throw Object.assign(new Error('full'), { code: 'EAGAIN' })
    const [, verb, ...parts] = frames
    const moment = this.#outbox.momentOf(frames)
    if (this.#isClosed || parts.length === 0) return
    const json = Buffer.from(parts.at(-1) ?? '')
    const body = JSON.parse(json.toString())
    if (verb === 'EVENT') {
      const offset = offsetOf(body.position)
      this.#connection.told({ topic: String(parts[0]) as Topic, offset, json }, moment)
    } else if (body.ends === undefined) this.#answered(String(verb), body, moment)
    else {
      this.#connection.end('goingAway')
      this[Symbol.dispose]()
    }
  }

  #answered(verb: string, body: Answer, moment: Moment): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#ledger.faults.push(new Error(`${verb} answers nothing`))
    else waiting.answered(verb, body, moment)
  }
}

const FILLER = Buffer.alloc(2 * 1024 * 1024)

/** An outbox that keeps when the broker said what: its peer may hear it much later. */
class WatchedOutbox extends ZmqOutbox {
  readonly #ledger: Ledger
  readonly #said: { readonly last: string | Buffer | undefined; readonly moment: Moment }[] = []

  constructor(sender: Sender, ledger: Ledger) {
    super(sender, Buffer.from('peer'), () => ledger.faults.push(new Error('a peer is given up')))
    this.#ledger = ledger
  }

  override send(message: ZmqMessage): void {
    this.#said.push({ last: message.frames.at(-1), moment: this.#ledger.moment() })
    super.send(message)
  }

  momentOf(frames: readonly (string | Buffer)[]): Moment {
    // Events that were taken back lie between.
    const index = this.#said.findIndex(({ last }) => last === frames.at(-1))
    const [said] = this.#said.splice(0, index + 1).slice(-1)
    assert.ok(said !== undefined)
    return said.moment
  }
}

function identitiesOf(permissions: Permissions): Identities {
  return {
    authenticate: () => permissions.principal,
    authenticateCurveKey: () => permissions.principal,
    anonymous: () => permissions.principal,
    renew: () => permissions.principal,
  }
}
