import { setTimeout as delay } from 'node:timers/promises'
import type { Context } from 'zeromq'
import type { Identities, Principal } from '../../auth/principal.ts'
import { MAX_TOPIC_BYTES } from '../../protocol/topic.ts'
import { filterMatches, type TopicFilter } from '../../protocol/topic-filter.ts'
import { mayReceiveAll } from '../delivery/may-receive.ts'
import type { EventLog, StoredEvent } from '../log/event-log.ts'
import { TopicMatcher } from '../log/topic-matcher.ts'
import { admit, type Refusal } from './zmq-admission.ts'
import type { ZapRequest, ZapVerdict, ZmqAuthentication } from './zmq-authentication.ts'
import { bindSubscribeSocket, type SubscribeSocket, type ZmqMechanism } from './zmq-bound-socket.ts'
import { ZmqBroadcast } from './zmq-broadcast.ts'
import { receiveUntilClosed } from './zmq-receive-loop.ts'
import { claimedUser, type ZmqCounters, type ZmqLogger } from './zmq-report.ts'

export interface SubscribeEndpointOptions {
  readonly address: string
  readonly mechanism: ZmqMechanism
  /** All that is told there: who connects must be allowed to receive the whole of it. */
  readonly filter: TopicFilter
  readonly domain: string
}

export interface SubscribeEndpointDeps {
  readonly context: Context
  readonly authentication: ZmqAuthentication
  readonly log: EventLog
  readonly identities: Identities
  readonly logger: ZmqLogger
  readonly counters: ZmqCounters
}

/** The users file is nothing for a door that asks for rights once and then tells everything. */
const UNTOLD = 'files/config/**' as TopicFilter

/** One byte says subscribe or unsubscribe, the rest is a prefix of a topic. */
const MAX_FRAME_BYTES = MAX_TOPIC_BYTES + 1

/** libzmq counts messages, not bytes: few, since a burst waits for them to be taken. */
const SEND_HIGH_WATER_MARK = 1000

/**
 * Different prefixes that are subscribed to at once. libzmq has no bound, and keeps up to 256 nodes of a tree
 * for each: a peer that sent it a million would have its memory.
 */
const MAX_PREFIXES = 20_000

const REBIND_PAUSE_MS = 1000

/**
 * Tells the events of one fixed filter to plain SUB sockets. libzmq neither says who has subscribed nor
 * lets one peer be cut off: everybody who connects must be allowed all of it, and when somebody no longer
 * is, the socket is closed and bound again. The others come back by themselves and are asked again.
 */
export class ZmqSubscribeEndpoint implements AsyncDisposable {
  readonly #options: SubscribeEndpointOptions
  readonly #deps: SubscribeEndpointDeps
  readonly #matcher: TopicMatcher
  readonly #disposables = new DisposableStack()
  readonly #closing = new AbortController()
  /**
   * Who was let in since the socket was bound, by credential: no more than there are credentials. Who of
   * them is still there, libzmq does not say.
   */
  readonly #admitted = new Map<string, Principal>()
  #endpoint: string
  /** Undefined while the socket is bound again. */
  #broadcast: ZmqBroadcast | undefined
  /** Receives what comes upstream from a socket until that is closed. */
  #loop: Promise<void> = Promise.resolve()
  /** Counts the reasons to bind again. */
  #generation = 0
  #binding: Promise<void> | undefined

  private constructor(options: SubscribeEndpointOptions, deps: SubscribeEndpointDeps) {
    this.#options = options
    this.#deps = deps
    this.#endpoint = options.address
    this.#matcher = new TopicMatcher([options.filter])
  }

  /** @throws {Error} when the address cannot be bound */
  static async open(
    options: SubscribeEndpointOptions,
    deps: SubscribeEndpointDeps,
  ): Promise<ZmqSubscribeEndpoint> {
    const endpoint = new ZmqSubscribeEndpoint(options, deps)
    const { authentication, log } = deps
    endpoint.#disposables.use(
      authentication.register(options.domain, (request) => endpoint.#judgePeer(request)),
    )
    endpoint.#disposables.use(log.onCommit((events) => endpoint.#take(events)))
    try {
      endpoint.#serve(await endpoint.#bind())
    } catch (error) {
      await endpoint.close()
      throw error
    }
    return endpoint
  }

  /** Where it is bound, with the real port. */
  get endpoint(): string {
    return this.#endpoint
  }

  /** After a change of the users table: binds anew when somebody who was let in no longer may be there. */
  judge(): void {
    const { identities } = this.#deps
    for (const [key, principal] of this.#admitted) {
      const renewed = identities.renew(principal)
      if (renewed === undefined || !mayReceiveAll(renewed.rights, this.#options.filter)) {
        this.#withdraw(principal.user)
        return
      }
      this.#admitted.set(key, renewed)
    }
  }

  /** Once a second: credentials end by the clock too. */
  tick(): void {
    const now = Date.now()
    for (const { user, credential } of this.#admitted.values()) {
      if (credential?.expiresMs === undefined || credential.expiresMs > now) continue
      this.#withdraw(user)
      return
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#disposables.dispose()
    this.#broadcast?.close()
    this.#broadcast = undefined
    await this.#binding
    await this.#loop
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #take(events: readonly StoredEvent[]): void {
    const broadcast = this.#broadcast
    if (broadcast === undefined || !broadcast.hasSubscribers) return
    for (const event of events) {
      const { topic } = event
      if (this.#matcher.matches(topic) && !filterMatches(UNTOLD, topic)) broadcast.send(event)
    }
  }

  #judgePeer(request: ZapRequest): ZapVerdict {
    const { filter, mechanism } = this.#options
    const admission = admit(request, mechanism.kind, filter, this.#deps.identities)
    if ('refusal' in admission) return this.#refuse(request, admission.refusal)
    const { principal } = admission
    this.#admitted.set(`${principal.user} ${principal.credential?.id}`, principal)
    return 'admitted'
  }

  #refuse({ address, credentials }: ZapRequest, refusal: Refusal): ZapVerdict {
    const { logger, counters } = this.#deps
    counters.refusedConnections += 1
    const user = claimedUser(credentials[0]?.toString() ?? '')
    const fields = { endpoint: this.#endpoint, address, user, ...refusal }
    logger.info({ event: 'events.zmq.refused', ...fields }, 'connection refused')
    return refusal.code === 'TOO_MANY_REQUESTS' ? 'later' : 'refused'
  }

  #bind(): Promise<SubscribeSocket> {
    return bindSubscribeSocket({
      context: this.#deps.context,
      // The second time at the port that the first one got, where the peers look for it.
      address: this.#endpoint,
      mechanism: this.#options.mechanism,
      domain: this.#options.domain,
      maxFrameBytes: MAX_FRAME_BYTES,
      sendHighWaterMark: SEND_HIGH_WATER_MARK,
    })
  }

  #serve(socket: SubscribeSocket): void {
    this.#endpoint = socket.lastEndpoint ?? this.#endpoint
    this.#broadcast = new ZmqBroadcast(socket, this.#deps)
    // What subscribers send is of no interest, but unread it would pile up.
    this.#loop = receiveUntilClosed(
      socket,
      () => this.#boundPrefixes(socket),
      (error) => this.#report(error, 'receiving failed'),
    )
  }

  /** Whose they are libzmq does not say, and those of peers that are gone count too. */
  #boundPrefixes(socket: SubscribeSocket): void {
    if (socket.closed || socket.topicCount <= MAX_PREFIXES) return
    this.#rebind('too many subscriptions', { prefixes: socket.topicCount })
  }

  #withdraw(user: string | null): void {
    this.#rebind('a right was withdrawn', { user })
  }

  #rebind(reason: string, details: Readonly<Record<string, unknown>>): void {
    const { logger, counters } = this.#deps
    counters.rebinds += 1
    const fields = { endpoint: this.#endpoint, ...details }
    logger.warn({ event: 'events.zmq.rebind', ...fields }, `bound anew: ${reason}`)
    this.#broadcast?.close()
    this.#broadcast = undefined
    this.#admitted.clear()
    this.#generation += 1
    this.#binding ??= this.#bindAgain().finally(() => {
      this.#binding = undefined
    })
  }

  async #bindAgain(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const generation = this.#generation
      try {
        const socket = await this.#bind()
        if (generation === this.#generation && !signal.aborted) return this.#serve(socket)
        // Between binding and here somebody was let in who may not stay.
        socket.close()
      } catch (error) {
        this.#report(error, 'binding anew failed')
        await delay(REBIND_PAUSE_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  #report(error: unknown, message: string): void {
    const fields = { endpoint: this.#endpoint, err: error }
    this.#deps.logger.error({ event: 'events.zmq.subscribe', ...fields }, message)
  }
}
