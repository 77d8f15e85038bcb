import type { Principal } from '../../auth/principal.ts'
import type { CloseReason } from '../../protocol/close-codes.ts'
import type { Since } from '../../protocol/position.ts'
import { BrokerError, PROBLEMS, type ProblemCode } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { Connection, Connections, Registration } from '../delivery/connections.ts'
import type { Delivery } from '../delivery/delivery.ts'
import { Stream } from '../delivery/stream.ts'
import type { Subscribed } from '../delivery/subscribe-progress.ts'
import type { EventLog } from '../log/event-log.ts'
import type { ZmqOutbox } from './zmq-outbox.ts'
import { ZmqSink } from './zmq-sink.ts'

export interface SubscriptionServices {
  readonly log: EventLog
  readonly delivery: Delivery
  readonly connections: Connections
}

/** Most filters of one peer. */
const MAX_FILTERS = 128

/** As what a peer is told why its subscriptions end. */
const END_CODES = {
  goingAway: 'UNAVAILABLE',
  messageTooBig: 'TOO_LARGE',
  serviceRestart: 'UNAVAILABLE',
  protocolError: 'COMMAND_INVALID',
  unauthenticated: 'CREDENTIAL_INVALID',
  forbidden: 'FORBIDDEN',
  authenticationTimeout: 'UNAUTHENTICATED',
  tooMany: 'TOO_MANY_REQUESTS',
  slowConsumer: 'SLOW_CONSUMER',
} as const satisfies Record<CloseReason, ProblemCode>

/**
 * All that one DEALER has subscribed to: one stream of one user. It ends with the connection, with the
 * user's right to it, or with its last filter.
 */
export class ZmqSubscriptions implements Connection, Disposable {
  /** libzmq does not tell it reliably through a front. */
  readonly address = undefined
  readonly #outbox: ZmqOutbox
  readonly #sink: ZmqSink
  readonly #stream: Stream
  readonly #registration: Registration
  readonly #onEnd: (error: BrokerError) => void
  #ended: BrokerError | undefined
  #isDisposed = false

  /** @param onEnd - called when the broker ends them, with what the peer is to be told */
  constructor(
    { log, delivery, connections }: SubscriptionServices,
    outbox: ZmqOutbox,
    principal: Principal,
    onEnd: (error: BrokerError) => void,
  ) {
    this.#outbox = outbox
    this.#onEnd = onEnd
    this.#sink = new ZmqSink(outbox, log, (reason) => this.#end(reason))
    this.#stream = new Stream({ log, delivery, sink: this.#sink }, principal)
    connections.admit(principal.user, this.address)
    this.#registration = connections.add(this)
  }

  get principal(): Principal {
    return this.#stream.principal
  }

  get isEmpty(): boolean {
    return this.#stream.filters.size === 0
  }

  /** What the peer is sent is complete up to here. */
  get position(): string {
    return this.#sink.lastPosition
  }

  /**
   * Adds a filter.
   *
   * @param accepted - called before the first event of the replay
   * @returns when replay is over, which may be long after; rejects when it failed on the way
   * @throws {BrokerError} `FORBIDDEN`, `UNAUTHENTICATED`, `TOO_MANY_REQUESTS`, or why all have ended
   */
  async subscribe(
    filter: TopicFilter,
    since: Since,
    accepted: (subscribed: Subscribed) => void,
  ): Promise<void> {
    const { filters } = this.#stream
    if (!filters.has(filter) && filters.size >= MAX_FILTERS) {
      throw new BrokerError('TOO_MANY_REQUESTS', `a connection has at most ${MAX_FILTERS} filters`)
    }
    let isAccepted = false
    await this.#stream.subscribe([filter], since, {
      accepted: (subscribed) => {
        isAccepted = true
        this.#sink.position(subscribed.position)
        accepted(subscribed)
      },
    })
    if (!isAccepted) throw this.#ended ?? ended('goingAway')
  }

  async unsubscribe(filter: TopicFilter): Promise<void> {
    await this.#stream.unsubscribe([filter])
  }

  judge(principal: Principal | undefined): void {
    this.#stream.judge(principal)
  }

  tick(): void {
    this.#stream.tick(0)
  }

  drain(retryAfterMs: number): void {
    this.#endWith(ended('serviceRestart', Math.ceil(retryAfterMs / 1000)))
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    this.#stream[Symbol.dispose]()
    this.#registration[Symbol.dispose]()
  }

  #end(reason: CloseReason): void {
    this.#endWith(ended(reason))
  }

  #endWith(error: BrokerError): void {
    if (this.#isDisposed) return
    this.#ended = error
    this[Symbol.dispose]()
    // What waits may be what the user may no longer see.
    this.#outbox.dropEvents()
    this.#onEnd(error)
  }
}

/** `ends` tells it from the reply to a command, `retryAfterSeconds` that coming back helps. */
function ended(reason: CloseReason, retryAfterSeconds = 1): BrokerError {
  const code = END_CODES[reason]
  const isPassing = PROBLEMS[code].retry === 'backoff'
  const fields = { ends: 'subscriptions', ...(isPassing && { retryAfterSeconds }) }
  return new BrokerError(code, 'the broker ended the subscriptions of this connection', { fields })
}
