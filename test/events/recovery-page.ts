import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { httpPage } from '../../src/events/http/http-page.ts'
import type { StoredEvent } from '../../src/events/log/event-log.ts'
import { formatPosition, parsePosition, type Since } from '../../src/protocol/position.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { type Connection, offsetOf, type Wish } from './recovery-connection.ts'
import type { Ledger, Moment } from './recovery-ledger.ts'
import { type Link, type LinkServices, ModelConnections } from './recovery-link.ts'
import type { Permissions } from './recovery-permissions.ts'

/** Of one page after the other. */
const LIMITS = [100, 3, 1000, 20]

interface Page {
  readonly position: string
  readonly complete: boolean
  readonly more: boolean
  readonly events: readonly Told[]
}

interface Told {
  readonly type: string
  readonly topic: StoredEvent['topic']
  readonly position: string
  readonly data: { readonly resumed: string }
}

interface PageReader {
  readonly permissions: Permissions
  readonly ledger: Ledger
  /** Takes all that the connection has told. */
  read(): void
}

/** Asks for page after page, mostly long polls; what it was not given whole, it asks for again. */
export class PageLink implements Link {
  readonly #services: LinkServices
  readonly #connection: Connection
  readonly #permissions: Permissions
  readonly #ledger: Ledger
  readonly #connections: ModelConnections
  readonly #read: () => void
  #isStalled = false
  /** At rest it does not wait for what does not come. */
  #isResting = false
  #isClosed = false
  #pages = 0
  #request: IncomingMessage | undefined

  constructor(
    services: LinkServices,
    connection: Connection,
    { permissions, ledger, read }: PageReader,
  ) {
    this.#services = services
    this.#connection = connection
    this.#permissions = permissions
    this.#ledger = ledger
    this.#connections = new ModelConnections(permissions)
    this.#read = read
  }

  ask(wish: Wish, since: Since): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let isAnswered = false
    const answered = () => {
      isAnswered = true
      resolve()
    }
    const failed = (error: unknown) => {
      if (!isAnswered) return reject(error)
      const isRight = error instanceof BrokerError && error.code === 'FORBIDDEN'
      if (!isRight) this.#ledger.faults.push(error)
      this.#connection.end('forbidden')
    }
    this.#poll(wish, since, answered).then(resolve, failed)
    return promise
  }

  judge(): void {
    this.#connections.judgeAll()
  }

  stall(): void {
    this.#isStalled = true
  }

  drain(): void {
    this.#isStalled = false
  }

  tick(): void {
    this.#connections.tick()
  }

  isAt(head: number): boolean {
    if (!this.#isResting) {
      this.#isResting = true
      this.#request?.socket.destroy()
    }
    const message = this.#connection.transcript.at(-1)
    return message?.kind === 'position' && offsetOf(message.position) === head
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#request?.socket.destroy()
    this.#connections[Symbol.dispose]()
  }

  async #poll(wish: Wish, since: Since, answered: () => void): Promise<void> {
    let isFirst = true
    for (let from = since; !this.#isClosed; ) {
      const asked = this.#ledger.moment()
      const body = await this.#page(wish, from)
      if (body !== undefined && !this.#isClosed) {
        const page: Page = JSON.parse(body.toString())
        if (isFirst) this.#begin(wish, since, page, asked)
        isFirst = false
        this.#tell(page, body)
        answered()
        from = positionOf(page.position)
      }
      // The connection may break before what was written is read.
      do await new Promise((resolve) => setImmediate(resolve))
      while (this.#isStalled && !this.#isClosed)
      if (!this.#isClosed) this.#read()
    }
  }

  /** @returns undefined when it did not come */
  async #page(wish: Wish, since: Since): Promise<Buffer | undefined> {
    const wasResting = this.#isResting
    const isPatient = !wasResting && this.#pages % 3 !== 2
    const from = typeof since === 'string' ? since : formatPosition(since.epoch, since.offset)
    const limit = LIMITS[this.#pages % LIMITS.length]
    this.#pages += 1
    const request = new IncomingMessage(new Socket())
    request.url = `/events/${wish.filters[0]}?since=${from}&limit=${limit}&wait=${isPatient ? 60 : 0}`
    this.#request = request
    const { principal } = this.#permissions
    const services = { ...this.#services, connections: this.#connections }
    const body = await httpPage(services, { raw: request, principal, ip: '127.0.0.1' })
    // What it gave up to be at rest, it does not hear.
    return this.#isResting === wasResting ? body : undefined
  }

  #begin(wish: Wish, since: Since, { events: [first] }: Page, asked: Moment): void {
    const recovered = first === undefined || !isGap(first)
    const position = recovered ? startOf(since, asked) : first.data.resumed
    this.#connection.accepted(wish, since, { position, recovered }, asked)
  }

  #tell({ position, complete, more, events }: Page, body: Buffer): void {
    assert.equal(complete, !events.some(isGap))
    assert.ok(events.length > 0 || !more)
    const now = this.#ledger.moment()
    // What is lost after the page, the next one tells.
    const count = this.#ledger.indexAfter(positionOf(position))
    let at = 0
    for (const event of events) {
      const { position } = event
      const committed = isGap(event) ? undefined : this.#ledger.at(position)
      const { topic, json } = committed ?? { ...event, json: Buffer.from(JSON.stringify(event)) }
      at = body.indexOf(json, at)
      assert.ok(at !== -1, `${position} came with other bytes`)
      at += json.length
      this.#connection.told({ topic, offset: offsetOf(position), json }, now, count)
    }
    this.#connection.position(position)
  }
}

function isGap({ type }: Told): boolean {
  return type === 'EVENTS MISSED'
}

function positionOf(text: string) {
  const position = parsePosition(text)
  assert.ok(position.ok)
  return position.value
}

function startOf(since: Since, { epoch, head }: Moment): string {
  if (typeof since === 'object') return formatPosition(since.epoch, since.offset)
  return formatPosition(epoch, since === 'latest' ? head : 0)
}
