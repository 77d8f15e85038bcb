import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { StoredEvent } from '../log/event-log.ts'
import { isErrno, type SubscribeSocket } from './zmq-bound-socket.ts'
import type { ZmqCounters, ZmqLogger } from './zmq-report.ts'

/** Sent in one turn of the loop: the thread of libzmq gets time to carry them away. */
const TURN_EVENTS = 500

/** Events that wait for their turn. */
const MAX_QUEUED_BYTES = 64 * 1024 * 1024

/** Events later than this wait for nobody any more: one that is slow, not frozen, delays the others no longer. */
const MAX_LATE_MS = 5000

/** libzmq says that some subscriber is full, not which one and not when there is room again. */
const RETRY_MS = 1

/**
 * How long one event waits for a full subscriber. A healthy one is full for some milliseconds of a burst. One
 * that is given up on gets nothing until it has read half of what is held for it, and holds up nobody. When
 * it is slow and not frozen it will be back, and full, again and again: so it is waited for less.
 */
const PATIENCE_MS = { usual: 200, inEpisode: 20 }

/** After the last time that somebody was given up on. */
const EPISODE_MS = 10_000

/** What is needed of a `SubscribeSocket`. */
export type BroadcastSocket = Pick<
  SubscribeSocket,
  'closed' | 'topicCount' | 'send' | 'sendToReady' | 'close'
>

export interface BroadcastDeps {
  readonly logger: ZmqLogger
  readonly counters: ZmqCounters
}

/** Sends events to everybody on one XPUB socket, in order, as topic and JSON. */
export class ZmqBroadcast {
  readonly #socket: BroadcastSocket
  readonly #deps: BroadcastDeps
  #queue: StoredEvent[] = []
  #queuedBytes = 0
  /** When the first of the queue came; in milliseconds of `performance.now()`, as the others. */
  #queuedSince = 0
  #isSending = false
  #isOverflowing = false
  #lastGivenUp = Number.NEGATIVE_INFINITY

  constructor(socket: BroadcastSocket, deps: BroadcastDeps) {
    this.#socket = socket
    this.#deps = deps
  }

  /** False when an event would reach nobody. */
  get hasSubscribers(): boolean {
    return !this.#socket.closed && this.#socket.topicCount > 0
  }

  send(event: StoredEvent): void {
    if (this.#queuedBytes > MAX_QUEUED_BYTES) {
      this.#overflow()
      return
    }
    if (this.#queue.length === 0) this.#queuedSince = performance.now()
    this.#queue.push(event)
    this.#queuedBytes += event.json.length
    if (!this.#isSending) void this.#sendAll()
  }

  close(): void {
    this.#queue = []
    this.#socket.close()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    while (this.#queue.length > 0) {
      const deadline = this.#queuedSince + MAX_LATE_MS
      const events = this.#queue
      this.#queue = []
      for (const [count, event] of events.entries()) {
        if (count % TURN_EVENTS === 0) await nextTurn()
        await this.#sendOne(event, deadline)
        if (this.#socket.closed) return
        this.#queuedBytes -= event.json.length
      }
    }
    this.#isSending = false
    this.#isOverflowing = false
  }

  async #sendOne({ topic, json }: StoredEvent, deadline: number): Promise<void> {
    let giveUpAt: number | undefined
    while (!this.#socket.closed) {
      try {
        return await this.#socket.send([topic, json])
      } catch (error) {
        if (this.#socket.closed) return
        if (!isErrno(error, 'EAGAIN')) return this.#report(error)
      }
      const now = performance.now()
      giveUpAt ??= Math.min(now + this.#patienceMs(now), deadline)
      if (now >= giveUpAt) return this.#sendToReady(topic, json, now)
      await delay(RETRY_MS)
    }
  }

  #patienceMs(now: number): number {
    return now - this.#lastGivenUp < EPISODE_MS ? PATIENCE_MS.inEpisode : PATIENCE_MS.usual
  }

  async #sendToReady(topic: string, json: Buffer, now: number): Promise<void> {
    const { logger, counters } = this.#deps
    counters.droppedEvents += 1
    if (now - this.#lastGivenUp >= EPISODE_MS) {
      logger.warn({ event: 'events.zmq.slow' }, 'a subscriber is too slow and loses events')
    }
    this.#lastGivenUp = now
    await this.#socket.sendToReady([topic, json]).catch((error: unknown) => this.#report(error))
  }

  #overflow(): void {
    const { logger, counters } = this.#deps
    counters.droppedEvents += 1
    if (this.#isOverflowing) return
    this.#isOverflowing = true
    logger.warn({ event: 'events.zmq.dropped' }, 'events come faster than they can be sent')
  }

  #report(error: unknown): void {
    this.#deps.counters.droppedEvents += 1
    this.#deps.logger.error({ event: 'events.zmq.subscribe', err: error }, 'event not sent')
  }
}
