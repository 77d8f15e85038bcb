import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import { CLOSE_CODES, type CloseReason } from '../../protocol/close-codes.ts'
import type { Batch } from '../delivery/batch.ts'
import { WEBSOCKET_ENCODING } from '../delivery/encoding.ts'
import { onceDrained } from '../delivery/once-drained.ts'
import type { Sink } from '../delivery/sink.ts'
import { WebSocketIntake } from './websocket-intake.ts'

/** How often a connection is pinged; below the 60 s after which proxies cut idle ones by default. */
export const PING_INTERVAL_MS = 25_000

/** A close frame queues behind the backlog: a peer that takes nothing is cut off after this. */
const CLOSE_TIMEOUT_MS = 2000

/**
 * A WebSocket as a sink. Batches are framed ahead and written to the socket below `ws` in one call; that is
 * safe because without compression, Blobs and fragments `ws` writes each frame whole and at once.
 */
export class WebSocketSink implements Sink {
  readonly encoding = WEBSOCKET_ENCODING
  readonly transport = 'websocket'
  readonly isResumable = true
  readonly intake: WebSocketIntake
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  readonly #renderPosition: ((position: string) => string) | undefined
  #lastPing = performance.now()
  #isAlive = true

  /** @param renderPosition - the message that tells a position, where the protocol has one */
  constructor(webSocket: WebSocket, socket: Socket, renderPosition?: (position: string) => string) {
    this.#webSocket = webSocket
    this.#socket = socket
    this.#renderPosition = renderPosition
    this.intake = new WebSocketIntake(webSocket, socket)
    webSocket.on('pong', () => {
      this.#isAlive = true
    })
    // What a client got wrong, `ws` answers with a close frame of its own; ending the socket now could lose it.
    // Anybody can cause it as often as they like, so that it is no matter for a log.
    webSocket.on('error', () => this.#terminateSoon())
  }

  get backlogBytes(): number {
    return this.#socket.writableLength
  }

  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  /** False as soon as either end has begun to close. */
  get isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN && this.#socket.writable
  }

  deliver(batch: Batch): void {
    if (this.isOpen) this.#socket.write(batch.bytes)
  }

  send(message: unknown): void {
    if (this.isOpen) this.#webSocket.send(JSON.stringify(message))
  }

  onceDrained(callback: () => void): void {
    onceDrained(this.#socket, callback)
  }

  position(position: string): void {
    if (this.#renderPosition !== undefined && this.isOpen) {
      this.#webSocket.send(this.#renderPosition(position))
    }
  }

  /** Pings when it is time; a peer that did not answer the last one is gone. */
  heartbeat(): void {
    const now = performance.now()
    // Its answer may lie where it is not read.
    if (this.#webSocket.isPaused) this.#isAlive = true
    if (now - this.#lastPing < PING_INTERVAL_MS || !this.isOpen) return
    if (!this.#isAlive) {
      this.#webSocket.terminate()
      return
    }
    this.#isAlive = false
    this.#lastPing = now
    this.#webSocket.ping()
  }

  end(reason: CloseReason, detail = ''): void {
    if (!this.isOpen) return
    this.#webSocket.close(CLOSE_CODES[reason], detail.slice(0, 100))
    this.#terminateSoon()
  }

  #terminateSoon(): void {
    setTimeout(() => this.#webSocket.terminate(), CLOSE_TIMEOUT_MS).unref()
  }
}
