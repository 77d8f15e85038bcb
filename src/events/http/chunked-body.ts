import type { Socket } from 'node:net'
import type { BodyStream } from './http-sink.ts'

const LAST_CHUNK = '0\r\n\r\n'

/** The body of a response in chunks (RFC 9112, section 7.1) on a socket that has no response object. */
export class ChunkedBody implements BodyStream {
  readonly #socket: Socket
  #isEnded = false

  /** @param head - status line and header fields, which go out at once */
  constructor(socket: Socket, head: string) {
    this.#socket = socket
    socket.write(head, 'latin1')
    // What a client sends behind its request is nobody's; its end is noticed.
    socket.resume()
  }

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  get writableEnded(): boolean {
    return this.#isEnded
  }

  get writableLength(): number {
    return this.#socket.writableLength
  }

  write(chunk: string | Buffer): void {
    this.#socket.cork()
    this.#socket.write(`${Buffer.byteLength(chunk).toString(16)}\r\n`)
    this.#socket.write(chunk)
    this.#socket.write('\r\n')
    this.#socket.uncork()
  }

  end(): void {
    this.#isEnded = true
    this.#socket.end(LAST_CHUNK)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  once(event: 'drain' | 'close', listener: () => void): void {
    this.#socket.once(event, listener)
  }

  off(event: 'drain' | 'close', listener: () => void): void {
    this.#socket.off(event, listener)
  }

  on(event: 'error', listener: (error: Error) => void): void {
    this.#socket.on(event, listener)
  }
}
