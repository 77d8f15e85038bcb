import type { Connection } from '../connection.ts'
import { delay } from '../http/delay.ts'
import type { BrokerEvent } from './broker-event.ts'
import { EventBuffer } from './event-buffer.ts'
import { type SocketEnd, SubscriptionSocket } from './subscription-socket.ts'

export interface SubscriptionSettings<Item> {
  readonly filters: readonly string[]
  readonly since: string
  readonly bufferedEvents: number
  readonly signal: AbortSignal
  readonly decode: (text: string, event: BrokerEvent) => Item
}

/**
 * Events as they come, each once and in the order of the log, over as many connections as it takes: a lost
 * one is replaced and resumed after the last event received. When the consumer falls behind by a full
 * buffer the connection is given up, and resumed once half of the buffer is used, so that memory is bounded
 * and nothing is lost while the broker's history reaches back.
 *
 * The iteration fails with a `BrokerError` when the broker refuses, with a `NetworkError` when the first
 * connection cannot be had after the client's retries, and with the signal's reason when it is aborted.
 */
export class EventSubscription<Item> implements AsyncIterableIterator<Item, void>, AsyncDisposable {
  readonly #settings: SubscriptionSettings<Item>
  readonly #connection: Connection
  readonly #buffer: EventBuffer<Item>
  readonly #opened = Promise.withResolvers<void>()
  readonly #closing = new AbortController()
  #since: string
  #socket: SubscriptionSocket | undefined
  #running: Promise<void> | undefined
  #wasSubscribed = false
  #isOverfull = false
  #failures = 0

  constructor(settings: SubscriptionSettings<Item>, connection: Connection) {
    this.#settings = settings
    this.#connection = connection
    this.#buffer = new EventBuffer(settings.bufferedEvents)
    this.#since = settings.since
    // It is for those who call `open`; others learn of a failure from `next`.
    this.#opened.promise.catch(() => {})
  }

  /** Up to where everything was handed out. Give it as `since` to go on another time. */
  get position(): string | undefined {
    return this.#buffer.position
  }

  /** Connects, and resolves when the broker has confirmed: an event published from now on will come. */
  open(): Promise<void> {
    this.#running ??= this.#run()
    return this.#opened.promise
  }

  async next(): Promise<IteratorResult<Item, void>> {
    this.#running ??= this.#run()
    const item = await this.#buffer.take()
    return item === undefined ? { done: true, value: undefined } : { done: false, value: item }
  }

  async return(): Promise<IteratorResult<Item, void>> {
    await this.close()
    return { done: true, value: undefined }
  }

  /** Ends it; what was not taken is forgotten. */
  async close(): Promise<void> {
    this.#buffer.discard()
    this.#closing.abort()
    this.#running ??= Promise.resolve()
    await this.#running
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #run(): Promise<void> {
    const signal = AbortSignal.any([this.#settings.signal, this.#closing.signal])
    const abandon = () => {
      this.#buffer.discard(signal.reason)
      this.#socket?.leave()
    }
    signal.addEventListener('abort', abandon)
    try {
      for (;;) {
        signal.throwIfAborted()
        const end = await this.#connect()
        signal.throwIfAborted()
        if (this.#isOverfull) await this.#buffer.room()
        else await delay(this.#waitMs(end), signal)
      }
    } catch (error) {
      this.#opened.reject(error)
      this.#buffer.end(error)
    } finally {
      signal.removeEventListener('abort', abandon)
    }
  }

  #connect(): Promise<SocketEnd> {
    const { filters, decode } = this.#settings
    const interest = { filters, since: this.#since }
    const socket = new SubscriptionSocket(this.#connection, interest, {
      subscribed: (position) => this.#subscribed(position),
      position: (position) => {
        this.#reached(position)
        this.#buffer.advance(position)
      },
      event: (text, event) => {
        this.#reached(event.position)
        this.#buffer.push(decode(text, event), event.position, text.length)
        this.#isOverfull = this.#buffer.isFull
        if (this.#isOverfull) socket.leave()
      },
    })
    this.#isOverfull = false
    this.#socket = socket
    return socket.run()
  }

  #subscribed(position: string | undefined): void {
    this.#wasSubscribed = true
    this.#opened.resolve()
    // Nothing is replayed for `latest`; for any other since the head says nothing of what was received.
    if (this.#since === 'latest' && position !== undefined) {
      this.#since = position
      this.#buffer.advance(position)
    }
  }

  #reached(position: string): void {
    this.#since = position
    this.#failures = 0
  }

  /** @throws what ends the subscription */
  #waitMs({ error, isFinal, retryAfterMs = 0 }: SocketEnd): number {
    this.#failures += 1
    const isHopeless = !this.#wasSubscribed && this.#failures > this.#connection.retries
    if (isFinal || isHopeless) throw error
    return Math.max(retryAfterMs, this.#connection.backoff(this.#failures))
  }
}
