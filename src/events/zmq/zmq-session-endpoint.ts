import type { Context } from 'zeromq'
import { BrokerError, toProblem } from '../../protocol/problem.ts'
import { curvePrincipal } from './zmq-admission.ts'
import type { ZapRequest, ZapVerdict, ZmqAuthentication } from './zmq-authentication.ts'
import {
  type BoundSessionSocket,
  bindSessionSocket,
  type ZmqMechanism,
} from './zmq-bound-socket.ts'
import { openEnvelope } from './zmq-command.ts'
import { ZmqIntake } from './zmq-intake.ts'
import { ZmqOutbox } from './zmq-outbox.ts'
import { ZmqPublishing } from './zmq-publishing.ts'
import { receiveUntilClosed } from './zmq-receive-loop.ts'
import { ZmqSession, type ZmqSessionServices } from './zmq-session.ts'

export interface SessionEndpointOptions {
  readonly address: string
  readonly mechanism: ZmqMechanism
  readonly domain: string
  /** Longest event that can be published. */
  readonly maxEventBytes: number
  /** Peers that something is known about at once. */
  readonly maxPeers?: number
}

export interface SessionEndpointDeps extends Omit<ZmqSessionServices, 'intake' | 'publishing'> {
  readonly context: Context
  readonly authentication: ZmqAuthentication
}

/** Above the longest event: one that is a little too long gets an answer, not a lost connection. */
const FRAME_ALLOWANCE_BYTES = 64 * 1024

/** libzmq counts messages, not bytes: few, since what waits beyond them is counted in bytes by us. */
const SEND_HIGH_WATER_MARK = 128

const MAX_PEERS = 4096

/** A peer that sends nothing for this long is gone, and one that takes nothing of what is owed to it. */
const MAX_SILENCE_MS = 30_000

/** Peers looked at for one that can be forgotten, when a newcomer finds no room. */
const MAX_SEARCH = 64

/** Speaks with REQ and DEALER sockets: each command carries its token, each peer is a session. */
export class ZmqSessionEndpoint implements AsyncDisposable {
  readonly #services: ZmqSessionServices
  readonly #bound: BoundSessionSocket
  readonly #maxPeers: number
  readonly #registration: Disposable
  /** By routing id, in the order of their first command. */
  readonly #sessions = new Map<string, ZmqSession>()
  readonly #loop: Promise<void>

  private constructor(
    services: ZmqSessionServices,
    bound: BoundSessionSocket,
    registration: Disposable,
    maxPeers: number,
  ) {
    this.#services = services
    this.#bound = bound
    this.#maxPeers = maxPeers
    this.#registration = registration
    this.#loop = receiveUntilClosed(
      bound.socket,
      (frames) => this.#receive(frames),
      (error) => this.#report(error),
    )
  }

  /** @throws {Error} when the address cannot be bound */
  static async open(
    { address, mechanism, domain, maxEventBytes, maxPeers = MAX_PEERS }: SessionEndpointOptions,
    deps: SessionEndpointDeps,
  ): Promise<ZmqSessionEndpoint> {
    const { context, authentication } = deps
    const registration = authentication.register(domain, (request) =>
      judgePeer(request, mechanism, deps),
    )
    try {
      const bound = await bindSessionSocket({
        context,
        address,
        mechanism,
        domain,
        maxFrameBytes: maxEventBytes + FRAME_ALLOWANCE_BYTES,
        sendHighWaterMark: SEND_HIGH_WATER_MARK,
      })
      const publishing = new ZmqPublishing(deps.publisher)
      const services = { ...deps, publishing, intake: new ZmqIntake() }
      return new ZmqSessionEndpoint(services, bound, registration, maxPeers)
    } catch (error) {
      registration[Symbol.dispose]()
      throw error
    }
  }

  /** Where it is bound, with the real port. */
  get endpoint(): string {
    return this.#bound.socket.lastEndpoint ?? ''
  }

  get peerCount(): number {
    return this.#sessions.size
  }

  /** Once a second: forgets peers that are silent. */
  tick(now = performance.now()): void {
    for (const [key, session] of this.#sessions) {
      if (session.silentMs(now) >= MAX_SILENCE_MS) {
        session.expire()
        if (session.isIdle) this.#forget(key, session)
      }
      if (session.stalledMs(now) >= MAX_SILENCE_MS) {
        this.#services.counters.stalledPeers += 1
        this.#forget(key, session)
      }
    }
  }

  async close(): Promise<void> {
    this.#registration[Symbol.dispose]()
    this.#bound.socket.close()
    this.#services.publishing.flush()
    for (const [key, session] of this.#sessions) this.#forget(key, session)
    await this.#loop
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @returns what to wait for before more is read */
  #receive([routingId, ...frames]: readonly Buffer[]): Promise<void> | undefined {
    if (routingId === undefined) return undefined
    const key = routingId.toString('latin1')
    const [first] = frames
    if (frames.length === 1 && first !== undefined) {
      if (first.equals(this.#bound.disconnectSecret)) {
        this.#forget(key, this.#sessions.get(key))
        return undefined
      }
      // Sockets with PROBE_ROUTER announce themselves so.
      if (first.length === 0) return undefined
    }
    const session = this.#sessions.get(key) ?? this.#begin(key, routingId)
    if (session === undefined) this.#turnAway(routingId, frames)
    else session.receive(frames)
    return this.#services.intake.ready()
  }

  #begin(key: string, routingId: Buffer): ZmqSession | undefined {
    if (this.#sessions.size >= this.#maxPeers) this.#makeRoom()
    if (this.#sessions.size >= this.#maxPeers) return undefined
    const outbox = new ZmqOutbox(this.#bound.socket, routingId, () => this.#forget(key, session))
    const session = new ZmqSession(this.#services, outbox)
    this.#sessions.set(key, session)
    return session
  }

  /** Nobody misses an idle session: its peer gets a new one with its next command. */
  #makeRoom(): void {
    let searched = 0
    for (const [key, session] of this.#sessions) {
      if (session.isIdle) this.#forget(key, session)
      searched += 1
      if (session.isIdle || searched === MAX_SEARCH) return
    }
  }

  #turnAway(routingId: Buffer, frames: readonly Buffer[]): void {
    const { counters, publicUrl } = this.#services
    counters.refusedCommands += 1
    const error = new BrokerError('TOO_MANY_REQUESTS', 'too many peers are connected')
    const reply = ['ERROR', JSON.stringify(toProblem(error, publicUrl?.()))]
    const { isRequest } = openEnvelope(frames)
    // Whether it arrives is up to the peer: nothing is kept of it.
    this.#bound.socket.send([routingId, ...(isRequest ? [''] : []), ...reply]).catch(() => {})
  }

  #forget(key: string, session: ZmqSession | undefined): void {
    session?.[Symbol.dispose]()
    if (this.#sessions.get(key) === session) this.#sessions.delete(key)
  }

  #report(error: unknown): void {
    const fields = { endpoint: this.endpoint, err: error }
    this.#services.logger.error({ event: 'events.zmq.session', ...fields }, 'receiving failed')
  }
}

/**
 * Every command brings its token: without a mechanism there is nothing to judge, with CURVE only that the
 * key is one of a user.
 */
function judgePeer(
  request: ZapRequest,
  mechanism: ZmqMechanism,
  { identities, logger }: SessionEndpointDeps,
): ZapVerdict {
  if (mechanism.kind !== 'curve') return request.mechanism === 'NULL' ? 'admitted' : 'refused'
  try {
    curvePrincipal(request, identities)
    return 'admitted'
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    const fields = { event: 'events.zmq.refused', address: request.address, code: error.code }
    logger.info(fields, 'connection refused')
    return 'refused'
  }
}
