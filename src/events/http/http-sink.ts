import type { ServerResponse } from 'node:http'
import type { Batch } from '../delivery/batch.ts'
import type { Encoding } from '../delivery/encoding.ts'
import { onceDrained } from '../delivery/once-drained.ts'
import type { Sink } from '../delivery/sink.ts'

/** The body of a streamed response as a sink. */
export class HttpSink implements Sink {
  readonly encoding: Encoding
  /** A response cannot say why it ends: a gap is told in it instead. */
  readonly isResumable = false
  readonly #response: ServerResponse
  readonly #renderPosition: ((position: string) => string) | undefined

  constructor(
    response: ServerResponse,
    encoding: Encoding,
    renderPosition?: (position: string) => string,
  ) {
    this.#response = response
    this.encoding = encoding
    this.#renderPosition = renderPosition
    // The error of a socket is followed by its close, which is what counts.
    response.on('error', () => {})
  }

  get #isWritable(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded
  }

  get backlogBytes(): number {
    return this.#response.writableLength
  }

  get takenBytes(): number {
    const { socket } = this.#response
    return socket === null ? 0 : socket.bytesWritten - socket.writableLength
  }

  deliver(batch: Batch): void {
    if (this.#isWritable) this.#response.write(batch.bytes)
  }

  onceDrained(callback: () => void): void {
    onceDrained(this.#response, callback)
  }

  position(position: string): void {
    if (this.#renderPosition !== undefined && this.#isWritable) {
      this.#response.write(this.#renderPosition(position))
    }
  }

  end(): void {
    this.#response.end()
    // A client that takes nothing must not hold the socket.
    this.#response.socket?.setTimeout(1000, () => this.#response.destroy())
  }
}
