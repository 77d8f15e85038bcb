import type { WebSocket } from '@fastify/websocket'
import { MAX_BACKLOG_BYTES } from '../delivery/drained.ts'
import { type Drainable, onceDrained } from '../delivery/once-drained.ts'

/** Commands of one connection that may be in work, and their bytes. */
const MAX_IN_WORK = { commands: 1024, bytes: 4 * 1024 * 1024 }

/** Replies and pongs that may wait to be read: more than a stream ever leaves in its socket. */
const MAX_UNREAD_BYTES = 2 * MAX_BACKLOG_BYTES

interface Pausable extends Pick<WebSocket, 'isPaused' | 'pause' | 'resume'> {
  on(event: 'ping', listener: () => void): unknown
}

/**
 * Reads a peer no faster than its commands are carried out and its replies are read: while too much waits,
 * the socket is left alone and TCP slows the peer. What one read brought along (64 KiB) still follows.
 */
export class WebSocketIntake {
  readonly #webSocket: Pausable
  readonly #socket: Drainable
  #commands = 0
  #bytes = 0
  #isDraining = false

  /** @param socket - below `webSocket` */
  constructor(webSocket: Pausable, socket: Drainable) {
    this.#webSocket = webSocket
    this.#socket = socket
    webSocket.on('ping', () => this.#regulate())
  }

  /** Counts a command as in work until disposed. */
  admit(bytes: number): Disposable {
    this.#commands += 1
    this.#bytes += bytes
    this.#regulate()
    return {
      [Symbol.dispose]: () => {
        this.#commands -= 1
        this.#bytes -= bytes
        this.#regulate()
      },
    }
  }

  #regulate(): void {
    this.#watchBacklog()
    const isFull = this.#commands >= MAX_IN_WORK.commands || this.#bytes >= MAX_IN_WORK.bytes
    const mustWait = isFull || this.#isDraining
    if (mustWait === this.#webSocket.isPaused) return
    if (mustWait) this.#webSocket.pause()
    else this.#webSocket.resume()
  }

  #watchBacklog(): void {
    if (this.#isDraining || this.#socket.writableLength <= MAX_UNREAD_BYTES) return
    this.#isDraining = true
    onceDrained(this.#socket, () => {
      this.#isDraining = false
      this.#regulate()
    })
  }
}
