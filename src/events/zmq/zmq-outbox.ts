import { setImmediate as nextTurn } from 'node:timers/promises'
import { isErrno } from './zmq-bound-socket.ts'

/** What a peer is sent. Events may be taken back while they wait, replies not. */
export interface ZmqMessage {
  readonly isEvent: boolean
  readonly frames: readonly (string | Buffer)[]
}

/** The sending side of a ROUTER socket whose sends are settled at once. */
export interface Sender {
  send(frames: (string | Buffer)[]): Promise<void>
}

/** libzmq says when a peer's queue is full, but not when there is room again. */
const RETRY_MS = { first: 1, longest: 50 }

/** Sent in one turn of the loop, so that a fast peer does not keep it. */
const TURN_MESSAGES = 256

/**
 * The messages for one peer, in order. libzmq holds a small number of them; what it does not take waits
 * here, counted in bytes, and holds up no other peer.
 */
export class ZmqOutbox {
  readonly #socket: Sender
  readonly #routingId: Buffer
  readonly #onGone: () => void
  #queue: ZmqMessage[] = []
  #bytes = 0
  #takenBytes = 0
  /** How often events were taken back. */
  #drops = 0
  #isSending = false
  #isClosed = false
  #retryMs = RETRY_MS.first
  #lastTaken = performance.now()
  #timer: NodeJS.Timeout | undefined
  #onDrained: (() => void)[] = []

  /** @param onGone - called when libzmq knows no such peer any more */
  constructor(socket: Sender, routingId: Buffer, onGone: () => void) {
    this.#socket = socket
    this.#routingId = routingId
    this.#onGone = onGone
  }

  /** Bytes that libzmq has not taken yet. */
  get bytes(): number {
    return this.#bytes
  }

  get takenBytes(): number {
    return this.#takenBytes
  }

  /** When libzmq last took a message, or nothing waited; in milliseconds of `performance.now()`. */
  get lastTaken(): number {
    return this.#lastTaken
  }

  send(message: ZmqMessage): void {
    if (this.#isClosed) return
    if (this.#bytes === 0) this.#lastTaken = performance.now()
    this.#queue.push(message)
    this.#bytes += sizeOf(message)
    if (!this.#isSending) void this.#sendAll()
  }

  /** Takes back the events that libzmq has not taken yet. */
  dropEvents(): void {
    this.#drops += 1
    this.#queue = this.#queue.filter((message) => {
      if (message.isEvent) this.#bytes -= sizeOf(message)
      return !message.isEvent
    })
    if (this.#bytes === 0) this.#tellDrained()
  }

  /** Calls back once, when nothing waits any more or the peer is gone. */
  onceDrained(callback: () => void): void {
    if (this.#bytes === 0) callback()
    else this.#onDrained.push(callback)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#queue = []
    this.#bytes = 0
    this.#tellDrained()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    for (let count = 1; ; count += 1) {
      if (count % TURN_MESSAGES === 0) await nextTurn()
      const message = this.#queue.shift()
      if (message === undefined) break
      const drops = this.#drops
      try {
        await this.#socket.send([this.#routingId, ...message.frames])
      } catch (error) {
        if (this.#isClosed) return
        if (!isErrno(error, 'EAGAIN')) return this.#end()
        if (!message.isEvent || drops === this.#drops) this.#queue.unshift(message)
        else this.#bytes -= sizeOf(message)
        return this.#retryLater()
      }
      if (this.#isClosed) return
      this.#retryMs = RETRY_MS.first
      this.#lastTaken = performance.now()
      this.#bytes -= sizeOf(message)
      this.#takenBytes += sizeOf(message)
    }
    this.#isSending = false
    this.#tellDrained()
  }

  #retryLater(): void {
    this.#timer = setTimeout(() => void this.#sendAll(), this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.longest)
  }

  #end(): void {
    this.close()
    this.#onGone()
  }

  #tellDrained(): void {
    const callbacks = this.#onDrained
    this.#onDrained = []
    for (const callback of callbacks) callback()
  }
}

function sizeOf({ frames }: ZmqMessage): number {
  return frames.reduce((sum, frame) => sum + frame.length, 0)
}
