import { Context } from 'zeromq'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { ZmqAuthentication } from './zmq-authentication.ts'
import type { ZmqMechanism } from './zmq-bound-socket.ts'
import type { CurveKeys } from './zmq-curve.ts'
import { type ZmqCounters, type ZmqLogger, zeroCounters } from './zmq-report.ts'
import type { ZmqSessionServices } from './zmq-session.ts'
import { ZmqSessionEndpoint } from './zmq-session-endpoint.ts'
import { ZmqSubscribeEndpoint } from './zmq-subscribe-endpoint.ts'

/** Where to bind, e.g. `tcp://127.0.0.1:5556`, and how peers prove who they are. */
export interface ZmqAddress<Security extends string> {
  readonly address: string
  readonly security: Security
}

export interface ZmqAddresses {
  /** XPUB, for SUB sockets; each tells the events of its filter. */
  readonly subscribe: readonly (ZmqAddress<'plain' | 'curve'> & {
    readonly filter: TopicFilter
  })[]
  /** ROUTER, for REQ and DEALER sockets. */
  readonly session: readonly ZmqAddress<'null' | 'curve'>[]
}

export interface ZmqServiceDeps
  extends Omit<ZmqSessionServices, 'intake' | 'publishing' | 'counters'> {
  readonly logger: ZmqLogger
  readonly maxEventBytes: number
  /** Of the server; needed when an address asks for CURVE. */
  readonly curve?: CurveKeys | undefined
}

const TICK_MS = 1000

/** The ZeroMQ doors of events. */
export class ZmqService implements AsyncDisposable {
  /** Of this service alone: libzmq knows one authentication handler per context. */
  readonly #context = new Context({ blocky: false })
  readonly #deps: ZmqServiceDeps
  readonly #counters = zeroCounters()
  readonly #subscribe: ZmqSubscribeEndpoint[] = []
  readonly #session: ZmqSessionEndpoint[] = []
  /** Closed in reverse: the authentication last, so that no socket is ever without it. */
  readonly #opened = new AsyncDisposableStack()
  #timer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  private constructor(deps: ZmqServiceDeps) {
    this.#deps = deps
  }

  /** @throws {Error} when an address cannot be bound; nothing is open then */
  static async open(addresses: ZmqAddresses, deps: ZmqServiceDeps): Promise<ZmqService> {
    const service = new ZmqService(deps)
    try {
      await service.#start(addresses)
    } catch (error) {
      await service.close()
      throw error
    }
    return service
  }

  /** Where SUB sockets connect, with the real ports, in the order of the addresses. */
  get subscribeEndpoints(): readonly string[] {
    return this.#subscribe.map(({ endpoint }) => endpoint)
  }

  /** Where REQ and DEALER sockets connect. */
  get sessionEndpoints(): readonly string[] {
    return this.#session.map(({ endpoint }) => endpoint)
  }

  get counters(): Readonly<ZmqCounters> {
    return { ...this.#counters }
  }

  /** Peers of the session endpoints. */
  get peerCount(): number {
    return this.#session.reduce((sum, { peerCount }) => sum + peerCount, 0)
  }

  /** After a change of the users table. Sessions are judged through the connections they registered. */
  judge(): void {
    for (const endpoint of this.#subscribe) endpoint.judge()
  }

  close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closing ??= this.#opened.disposeAsync()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start({ subscribe, session }: ZmqAddresses): Promise<void> {
    const deps = {
      ...this.#deps,
      context: this.#context,
      counters: this.#counters,
      // Before any other socket is bound: a handshake without it is refused.
      authentication: this.#opened.use(
        await ZmqAuthentication.open(this.#context, this.#deps.logger),
      ),
    }
    for (const [i, { address, security, filter }] of subscribe.entries()) {
      const options = { address, mechanism: this.#mechanismOf(address, security), filter }
      const domain = `subscribe-${i}`
      const endpoint = await ZmqSubscribeEndpoint.open({ ...options, domain }, deps)
      this.#subscribe.push(this.#opened.use(endpoint))
    }
    for (const [i, { address, security }] of session.entries()) {
      const { maxEventBytes } = this.#deps
      const options = { address, mechanism: this.#mechanismOf(address, security), maxEventBytes }
      const domain = `session-${i}`
      const endpoint = await ZmqSessionEndpoint.open({ ...options, domain }, deps)
      this.#session.push(this.#opened.use(endpoint))
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  #tick(): void {
    for (const endpoint of this.#subscribe) endpoint.tick()
    for (const endpoint of this.#session) endpoint.tick()
  }

  #mechanismOf(address: string, security: 'null' | 'plain' | 'curve'): ZmqMechanism {
    if (security !== 'curve') return { kind: security }
    const { curve } = this.#deps
    if (curve === undefined) throw new Error(`${address}: there are no keys for CURVE`)
    return { kind: 'curve', secretKey: curve.secretKey }
  }
}
