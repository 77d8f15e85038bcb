import type { StoredEvent } from '../log/event-log.ts'
import type { SubscribeSocket } from './zmq-bound-socket.ts'
import type { ZmqCounters, ZmqLogger } from './zmq-report.ts'

/** Sent in one turn of the loop: the thread of libzmq gets time to carry them away. */
const TURN_EVENTS = 500

/** Events that wait for their turn. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024

export interface BroadcastDeps {
  readonly logger: ZmqLogger
  readonly counters: ZmqCounters
}

/** Sends events to everybody on one XPUB socket, in order, as topic and JSON. */
export class ZmqBroadcast {
  readonly #socket: SubscribeSocket
  readonly #deps: BroadcastDeps
  #queue: StoredEvent[] = []
  #queuedBytes = 0
  #isDropping = false
  #turn: NodeJS.Immediate | undefined

  constructor(socket: SubscribeSocket, deps: BroadcastDeps) {
    this.#socket = socket
    this.#deps = deps
  }

  /** False when an event would reach nobody. */
  get hasSubscribers(): boolean {
    return !this.#socket.closed && this.#socket.topicCount > 0
  }

  send(event: StoredEvent): void {
    if (this.#queuedBytes > MAX_QUEUED_BYTES) {
      this.#drop()
      return
    }
    this.#queue.push(event)
    this.#queuedBytes += event.json.length
    this.#turn ??= setImmediate(() => this.#sendSome())
  }

  close(): void {
    clearImmediate(this.#turn)
    this.#queue = []
    this.#socket.close()
  }

  #sendSome(): void {
    const rest = this.#queue.splice(TURN_EVENTS)
    for (const { topic, json } of this.#queue) {
      this.#queuedBytes -= json.length
      this.#socket.send([topic, json]).catch((error: unknown) => this.#report(error))
    }
    this.#queue = rest
    this.#isDropping &&= rest.length > 0
    this.#turn = rest.length > 0 ? setImmediate(() => this.#sendSome()) : undefined
  }

  #drop(): void {
    const { logger, counters } = this.#deps
    counters.droppedEvents += 1
    if (this.#isDropping) return
    this.#isDropping = true
    logger.warn({ event: 'events.zmq.dropped' }, 'events come faster than they can be sent')
  }

  #report(error: unknown): void {
    this.#deps.counters.droppedEvents += 1
    this.#deps.logger.error({ event: 'events.zmq.subscribe', err: error }, 'event not sent')
  }
}
