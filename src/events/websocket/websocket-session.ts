import type { WebSocket } from '@fastify/websocket'
import type { Principal } from '../../auth/principal.ts'
import { BrokerError, toProblem } from '../../protocol/problem.ts'
import type { Registration } from '../delivery/connections.ts'
import { QUIET_MS, Stream } from '../delivery/stream.ts'
import type { StreamServices } from '../open-stream.ts'
import type { Opening } from '../opening.ts'
import type { Publisher } from '../publish/publisher.ts'
import {
  type Command,
  CommandFault,
  type CommandId,
  ProtocolFault,
  readCommand,
} from './websocket-command.ts'
import { PING_INTERVAL_MS, WebSocketSink } from './websocket-sink.ts'

export const SESSION_PROTOCOL = 'broker.v1.json'

/** How long a connection without a credential may stay. */
const AUTHENTICATION_MS = 10_000

/** How long before its credential expires a client is told. */
const EXPIRY_NOTICE_MS = 60_000

/** Most filters of one connection. */
const MAX_FILTERS = 128

export interface SessionServices extends StreamServices {
  readonly publisher: Pick<Publisher, 'publish'>
  readonly identities: {
    /** @throws {BrokerError} `CREDENTIAL_INVALID`, `TOO_MANY_REQUESTS` */
    authenticate(token: string, address: string): Principal | Promise<Principal>
  }
}

type Reply = Readonly<Record<string, unknown>>

/** One connection of the protocol `broker.v1.json` on `/ws`. */
export class WebSocketSession {
  readonly #services: SessionServices
  readonly #sink: WebSocketSink
  readonly #stream: Stream
  readonly #opening: Pick<Opening, 'address' | 'log' | 'requestId' | 'publicUrl'>
  readonly #registration: Registration
  readonly #authenticationTimer: NodeJS.Timeout | undefined
  /** While a credential is looked at; what follows it is judged by its outcome. */
  #authentication: Promise<void> | undefined
  /** Expiry that the client has been warned of. */
  #warnedOf: number | undefined

  constructor(services: SessionServices, webSocket: WebSocket, opening: Opening) {
    const { principal, socket } = opening
    this.#services = services
    this.#opening = opening
    this.#sink = new WebSocketSink(webSocket, socket, (position) =>
      JSON.stringify({ op: 'position', position }),
    )
    const { log, delivery } = services
    this.#stream = new Stream({ log, delivery, sink: this.#sink }, principal)
    this.#registration = services.connections.add(this)
    webSocket.on('message', (data, isBinary) => void this.#receive(String(data), isBinary))
    webSocket.on('close', () => this.#dispose())
    if (!isAdmitted(principal)) {
      this.#authenticationTimer = setTimeout(() => {
        if (!isAdmitted(this.principal)) this.#sink.end('authenticationTimeout')
      }, AUTHENTICATION_MS)
    }
    this.#welcome()
  }

  get address(): string {
    return this.#opening.address
  }

  get principal(): Principal {
    return this.#stream.principal
  }

  judge(principal: Principal | undefined): void {
    this.#stream.judge(principal)
  }

  tick(): void {
    this.#sink.heartbeat()
    this.#warnOfExpiry()
    this.#stream.tick(QUIET_MS)
  }

  drain(retryAfterMs: number): void {
    this.#sink.send({ op: 'closing', reason: 'restart', retryAfterMs })
    this.#sink.end('serviceRestart')
  }

  /** Once for each credential, in time to renew it on the open connection. */
  #warnOfExpiry(): void {
    const expiresMs = this.principal.credential?.expiresMs
    if (expiresMs === undefined || expiresMs === this.#warnedOf) return
    const inMs = expiresMs - Date.now()
    if (inMs > EXPIRY_NOTICE_MS) return
    this.#warnedOf = expiresMs
    this.#sink.send({ op: 'expiring', inMs })
  }

  #welcome(): void {
    const { user } = this.principal
    this.#sink.send({
      op: 'welcome',
      protocol: SESSION_PROTOCOL,
      user,
      ...(isAdmitted(this.principal) && { position: this.#stream.position }),
      pingIntervalMs: PING_INTERVAL_MS,
    })
  }

  async #receive(text: string, isBinary: boolean): Promise<void> {
    // Until the close is answered messages go on coming, of somebody who may have lost the right to them.
    if (!this.#sink.isOpen) return
    using _inWork = this.#sink.intake.admit(text.length)
    try {
      if (isBinary) throw new ProtocolFault('messages are text')
      const command = readCommand(text)
      while (this.#authentication !== undefined) await this.#authentication
      await this.#answer(command)
    } catch (error) {
      if (error instanceof CommandFault) this.#fail(error.id, error.cause)
      else if (error instanceof ProtocolFault) this.#sink.end('protocolError', error.message)
      else this.#report(error)
    }
  }

  async #answer(command: Command): Promise<void> {
    const { id } = command
    try {
      switch (command.op) {
        case 'auth':
          this.#authentication = this.#authenticate(id, command.token)
          return await this.#authentication.finally(() => {
            this.#authentication = undefined
          })
        case 'subscribe':
          return await this.#subscribe(command)
        case 'unsubscribe':
          await this.#stream.unsubscribe(command.filters)
          return this.#succeed(id, {})
        case 'publish':
          return this.#succeed(id, await this.#publish(command))
        case 'ping':
          return this.#succeed(
            id,
            isAdmitted(this.principal) ? { position: this.#stream.position } : {},
          )
      }
    } catch (error) {
      this.#fail(id, error)
    }
  }

  async #authenticate(id: CommandId, token: string): Promise<void> {
    const before = this.principal
    let principal: Principal
    try {
      principal = await this.#services.identities.authenticate(token, this.address)
      if (before.user === null) this.#services.connections.admit(principal.user, undefined)
    } catch (error) {
      this.#fail(id, error)
      const isTooMany = error instanceof BrokerError && error.code === 'TOO_MANY_REQUESTS'
      this.#sink.end(isTooMany ? 'tooMany' : 'unauthenticated')
      return
    }
    if (before.user !== null && before.user !== principal.user) {
      this.#fail(id, new BrokerError('FORBIDDEN', 'this connection belongs to another user'))
      this.#sink.end('forbidden')
      return
    }
    clearTimeout(this.#authenticationTimer)
    const expiresMs = principal.credential?.expiresMs
    const expires = expiresMs === undefined ? null : new Date(expiresMs).toISOString()
    // First, since judging ends a connection that may receive nothing any more of what it asked for.
    this.#succeed(id, { user: principal.user, expires })
    this.#stream.judge(principal)
    this.#registration.recount()
  }

  async #subscribe(command: Command & { readonly op: 'subscribe' }): Promise<void> {
    const { id, filters, since } = command
    if (this.#stream.filters.union(new Set(filters)).size > MAX_FILTERS) {
      throw new BrokerError('TOO_MANY_REQUESTS', `a connection has at most ${MAX_FILTERS} filters`)
    }
    await this.#stream.subscribe(filters, since, {
      accepted: ({ position, recovered }) => this.#succeed(id, { position, recovered }),
      replayed: (position) => this.#sink.position(position),
    })
  }

  async #publish(command: Command & { readonly op: 'publish' }): Promise<Reply> {
    const { topic, input } = command
    const options = { topic, isBatch: false, door: 'websocket' } as const
    const [receipt] = await this.#services.publisher.publish(this.principal, [input], options)
    return {
      eventId: receipt?.id,
      position: receipt?.position,
      duplicate: receipt?.duplicate,
    }
  }

  #succeed(id: CommandId, fields: Reply): void {
    this.#sink.send({ op: 'ok', id, ...fields })
  }

  #fail(id: CommandId, error: unknown): void {
    if (!(error instanceof BrokerError)) {
      this.#report(error)
    }
    this.#sink.send({ op: 'error', id, problem: toProblem(error, this.#opening.publicUrl) })
  }

  #report(err: unknown): void {
    const { log, requestId } = this.#opening
    log.error({ event: 'events.session', requestId, err }, 'command failed')
  }

  #dispose(): void {
    clearTimeout(this.#authenticationTimer)
    this.#stream[Symbol.dispose]()
    this.#registration[Symbol.dispose]()
  }
}

/** A user, or anonymous with any grant on events. */
function isAdmitted({ user, rights }: Principal): boolean {
  return user !== null || rights.overlaps('subscribe', '**') || rights.overlaps('publish', '**')
}
