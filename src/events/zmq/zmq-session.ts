import { hash } from 'node:crypto'
import type { Identities, Principal } from '../../auth/principal.ts'
import { formatPosition } from '../../protocol/position.ts'
import { BrokerError, toProblem } from '../../protocol/problem.ts'
import { MAX_BACKLOG_BYTES } from '../delivery/drained.ts'
import type { EventDraft } from '../log/event-log.ts'
import type { Publisher } from '../publish/publisher.ts'
import { readZmqCommand, type ZmqCommand } from './zmq-command.ts'
import { type NextCommand, type WaitingCommand, ZmqCommandQueue } from './zmq-command-queue.ts'
import type { ZmqIntake } from './zmq-intake.ts'
import type { ZmqOutbox } from './zmq-outbox.ts'
import type { Failure, ZmqPublishing } from './zmq-publishing.ts'
import type { ZmqCounters, ZmqLogger } from './zmq-report.ts'
import { type SubscriptionServices, ZmqSubscriptions } from './zmq-subscriptions.ts'

export interface ZmqSessionServices extends SubscriptionServices {
  readonly publisher: Publisher
  readonly identities: Identities
  readonly intake: ZmqIntake
  readonly publishing: ZmqPublishing
  readonly logger: ZmqLogger
  readonly counters: ZmqCounters
  /** What the `type` of a problem begins with: no request tells how the broker is reached. */
  readonly publicUrl?: () => string
}

type Reply = readonly [verb: 'OK' | 'PONG' | 'ERROR', body: unknown]

/** What a command that publishes nothing is answered: a reply, one of the moment in which it is sent, or none. */
type Answer = Reply | (() => Reply) | undefined

type Command<Verb> = ZmqCommand & { readonly verb: Verb }

/**
 * One peer of a ROUTER, as long as its connection lasts. Its commands are answered in their order:
 * publishes that follow each other are in work together, anything else waits for what is before it.
 */
export class ZmqSession implements Disposable {
  readonly #services: ZmqSessionServices
  readonly #outbox: ZmqOutbox
  readonly #queue: ZmqCommandQueue
  #subscriptions: ZmqSubscriptions | undefined
  #lastIdentified: { readonly token: string; readonly principal: Principal } | undefined
  #unanswered = 0
  /** While one command keeps the others waiting. */
  #isBusy = false
  #isDisposed = false
  #lastSeen = performance.now()

  constructor(services: ZmqSessionServices, outbox: ZmqOutbox) {
    this.#services = services
    this.#outbox = outbox
    this.#queue = new ZmqCommandQueue(services.intake)
  }

  /** True when nothing would be lost with it. */
  get isIdle(): boolean {
    return (
      this.#subscriptions === undefined &&
      this.#unanswered === 0 &&
      this.#queue.isEmpty &&
      this.#outbox.bytes === 0
    )
  }

  receive(frames: readonly Buffer[]): void {
    this.#lastSeen = performance.now()
    if (!this.#queue.push(frames)) this.#services.counters.refusedCommands += 1
    this.#advance()
  }

  /** How long nothing has come from the peer, while nothing was owed to it. */
  silentMs(now: number): number {
    return this.#unanswered > 0 ? 0 : now - this.#lastSeen
  }

  /** How long the peer has taken nothing of what waits for it. */
  stalledMs(now: number): number {
    return this.#outbox.bytes > 0 ? now - this.#outbox.lastTaken : 0
  }

  /** The peer counts as gone: if it is there after all, it is told. */
  expire(): void {
    if (this.#subscriptions === undefined) return
    this.#outbox.dropEvents()
    const detail = 'nothing came for 30 seconds: PING keeps the subscriptions of a connection'
    const fields = { ends: 'subscriptions', retryAfterSeconds: 1 }
    this.#ended(new BrokerError('REQUEST_TIMEOUT', detail, { fields }))
  }

  /** The connection is gone: whoever has its routing id next is somebody else. */
  [Symbol.dispose](): void {
    this.#isDisposed = true
    this.#subscriptions?.[Symbol.dispose]()
    this.#subscriptions = undefined
    this.#queue.clear()
    this.#outbox.close()
  }

  #advance(): void {
    while (!this.#isDisposed && !this.#isBusy) {
      const next = this.#queue.peek()
      if (next === undefined) return
      if (this.#outbox.bytes > MAX_BACKLOG_BYTES) {
        this.#isBusy = true
        this.#outbox.onceDrained(() => this.#goOn())
        return
      }
      if (!isPipelined(next)) {
        if (this.#unanswered > 0) return
        this.#isBusy = true
      }
      this.#queue.shift()
      this.#start(next)
    }
  }

  #goOn(): void {
    this.#isBusy = false
    this.#advance()
  }

  #start(next: NextCommand): void {
    const { intake, publishing } = this.#services
    const isAlone = this.#isBusy
    const bytes = next.kind === 'command' ? next.bytes : 0
    const { isRequest } = next.kind === 'command' ? next.envelope : next
    intake.begin(bytes)
    this.#unanswered += 1
    // Does not hold on to the frames: while the log works, the events alone are kept.
    const answer = (reply: Reply | undefined) => {
      if (reply !== undefined) this.#send(reply, isRequest)
      intake.end(bytes)
      this.#unanswered -= 1
      if (isAlone) this.#goOn()
      else this.#advance()
    }
    const work = this.#begin(next)
    if (work instanceof Promise) {
      work.then(
        (reply) => answer(typeof reply === 'function' ? reply() : reply),
        (error) => answer(this.#failure(error)),
      )
    } else {
      publishing.take({
        event: work,
        answer: (outcome) =>
          answer('error' in outcome ? this.#failure(outcome.error) : ['OK', outcome]),
      })
    }
  }

  /** @returns what is published, or why nothing is; of a command that publishes nothing its reply */
  #begin(next: NextCommand): EventDraft | Failure | Promise<Answer> {
    try {
      if (next.kind === 'command') return this.#perform(next)
      throw new BrokerError(
        'TOO_MANY_REQUESTS',
        'too many commands wait for their replies to be read',
      )
    } catch (error) {
      return { error }
    }
  }

  #perform({ envelope }: WaitingCommand): EventDraft | Promise<Answer> {
    const command = readZmqCommand(envelope)
    switch (command.verb) {
      case 'PUBLISH':
        return this.#prepare(command)
      case 'SUBSCRIBE':
        return this.#subscribe(command)
      case 'UNSUBSCRIBE':
        return this.#unsubscribe(command)
      case 'PING':
        // An event that is sent before it must not be ahead of it.
        return Promise.resolve(() => this.#pong())
    }
  }

  #prepare({ token, topic, input }: Command<'PUBLISH'>): EventDraft {
    const principal = this.#authenticate(token)
    return this.#services.publisher.prepare(principal, input, topic, 'zmq')
  }

  #pong(): Reply {
    const { log } = this.#services
    const position = this.#subscriptions?.position ?? formatPosition(log.epoch, log.head)
    // libzmq connects again unseen: nothing else tells a peer that its subscriptions are gone.
    return ['PONG', { position, subscribed: this.#subscriptions !== undefined }]
  }

  async #subscribe({ token, filter, since }: Command<'SUBSCRIBE'>): Promise<undefined> {
    const principal = this.#authenticate(token)
    const subscriptions = this.#subscriptionsOf(principal)
    const { promise: accepted, resolve } = Promise.withResolvers<void>()
    let isAccepted = false
    const replay = subscriptions.subscribe(filter, since, (subscribed) => {
      isAccepted = true
      this.#send(['OK', subscribed], false)
      resolve()
    })
    replay.catch((error: unknown) => {
      if (isAccepted && this.#subscriptions === subscriptions) this.#ended(error)
    })
    try {
      await Promise.race([accepted, replay])
    } finally {
      this.#dropIfEmpty(subscriptions, isAccepted)
    }
  }

  async #unsubscribe({ token, filter }: Command<'UNSUBSCRIBE'>): Promise<Reply> {
    this.#authenticate(token)
    const subscriptions = this.#subscriptions
    await subscriptions?.unsubscribe(filter)
    if (subscriptions !== undefined) this.#dropIfEmpty(subscriptions, false)
    return ['OK', {}]
  }

  /** @throws {BrokerError} `CREDENTIAL_INVALID`, `TOO_MANY_REQUESTS`; `FORBIDDEN` for another user's token */
  #authenticate(token: string): Principal {
    const principal = token === '' ? this.#services.identities.anonymous() : this.#identify(token)
    const owner = this.#subscriptions?.principal
    if (owner !== undefined && owner.user !== principal.user) {
      throw new BrokerError('FORBIDDEN', 'this connection belongs to another user')
    }
    return principal
  }

  /** Commands of a peer bring the same token: it is hashed once, and its principal asked for anew each time. */
  #identify(token: string): Principal {
    const { identities } = this.#services
    const last = this.#lastIdentified
    const renewed =
      last?.token === token && !isExpired(last.principal)
        ? identities.renew(last.principal)
        : undefined
    const principal =
      renewed ??
      // Over TCP there is nobody else to count attempts by: through a proxy all have one address.
      identities.authenticate(token, `zmq:${hash('sha256', token)}`)
    if (principal !== last?.principal) this.#lastIdentified = { token, principal }
    return principal
  }

  /** The user's newest token is what the subscriptions live by. */
  #subscriptionsOf(principal: Principal): ZmqSubscriptions {
    this.#subscriptions?.judge(principal)
    this.#subscriptions ??= new ZmqSubscriptions(this.#services, this.#outbox, principal, (error) =>
      this.#ended(error),
    )
    return this.#subscriptions
  }

  #dropIfEmpty(subscriptions: ZmqSubscriptions, isAccepted: boolean): void {
    if (isAccepted || !subscriptions.isEmpty || this.#subscriptions !== subscriptions) return
    subscriptions[Symbol.dispose]()
    this.#subscriptions = undefined
  }

  /** Tells why the subscriptions end, and that they do. */
  #ended(error: unknown): void {
    this.#services.counters.endedSubscriptions += 1
    this.#subscriptions?.[Symbol.dispose]()
    this.#subscriptions = undefined
    this.#send(this.#failure(error), false)
  }

  #failure(error: unknown): Reply {
    const { counters, logger } = this.#services
    counters.failedCommands += 1
    if (!(error instanceof BrokerError)) {
      logger.error({ event: 'events.zmq.session', err: error }, 'command failed')
    }
    return ['ERROR', toProblem(error, this.#services.publicUrl?.())]
  }

  #send([verb, body]: Reply, isRequest: boolean): void {
    const frames = [verb, JSON.stringify(body)]
    this.#outbox.send({ isEvent: false, frames: isRequest ? ['', ...frames] : frames })
  }
}

function isExpired({ credential }: Principal): boolean {
  return credential?.expiresMs !== undefined && credential.expiresMs <= Date.now()
}

/** True for what need not wait for the commands before it. */
function isPipelined(next: NextCommand): boolean {
  if (next.kind === 'refused') return true
  const [verb] = next.envelope.frames
  return verb !== undefined && verb.length === 7 && verb.toString('latin1') === 'PUBLISH'
}
