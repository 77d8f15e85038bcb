import type { Socket } from 'node:net'
import type { Batch } from '../delivery/batch.ts'
import { type Encoding, NDJSON_ENCODING } from '../delivery/encoding.ts'
import { type Drainable, onceDrained } from '../delivery/once-drained.ts'
import type { Sink, Transport } from '../delivery/sink.ts'

/** Where the body of a streamed response goes: a response of Node, or what stands for one. */
export interface BodyStream extends Drainable {
  readonly writableEnded: boolean
  write(chunk: string | Buffer): unknown
  end(): unknown
  destroy(): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** The body of a streamed response as a sink. */
export class HttpSink implements Sink {
  readonly encoding: Encoding
  readonly transport: Transport
  /** A response cannot say why it ends: a gap is told in it instead. */
  readonly isResumable = false
  readonly #body: BodyStream
  readonly #socket: Socket
  readonly #renderPosition: ((position: string) => string) | undefined

  /** @param socket - the one below the body */
  constructor(
    body: BodyStream,
    socket: Socket,
    encoding: Encoding,
    renderPosition: ((position: string) => string) | undefined,
  ) {
    this.#body = body
    this.#socket = socket
    this.encoding = encoding
    this.transport = encoding === NDJSON_ENCODING ? 'ndjson' : 'sse'
    this.#renderPosition = renderPosition
    // The error of a socket is followed by its close, which is what counts.
    body.on('error', () => {})
  }

  get #isWritable(): boolean {
    return !this.#body.destroyed && !this.#body.writableEnded
  }

  get backlogBytes(): number {
    return this.#body.writableLength
  }

  get takenBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength
  }

  deliver(batch: Batch): void {
    if (this.#isWritable) this.#body.write(batch.bytes)
  }

  onceDrained(callback: () => void): void {
    onceDrained(this.#body, callback)
  }

  position(position: string): void {
    if (this.#renderPosition !== undefined && this.#isWritable) {
      this.#body.write(this.#renderPosition(position))
    }
  }

  end(): void {
    this.#body.end()
    // A client that takes nothing must not hold the socket.
    this.#socket.setTimeout(1000, () => this.#body.destroy())
  }
}
