import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { PublisherConnection } from './publisher-connection.ts'

export interface SocketPublisherOptions {
  /** The message of one payload; `number` counts from 0. */
  readonly wrap: (payload: string, number: number) => string
  /** A question that the server answers when it has taken everything before it. */
  readonly ping: string
  /** What the answer to `ping` holds. */
  readonly pong: string
}

/** Bytes of one write, as a client that buffers would write. */
const WRITE_BYTES = 64 * 1024

/** Messages without acknowledgements over a TCP connection, as fast as the server reads. */
export class SocketPublisher implements PublisherConnection {
  readonly #socket: Socket
  readonly #options: SocketPublisherOptions

  private constructor(socket: Socket, options: SocketPublisherOptions) {
    this.#socket = socket
    this.#options = options
  }

  /** Connects, says `hello`, and waits for an answer that holds `welcome`. */
  static async open(
    { host, port, hello, welcome }: { host: string; port: number; hello: string; welcome: string },
    options: SocketPublisherOptions,
  ): Promise<SocketPublisher> {
    const socket = connect({ host, port, noDelay: true })
    await once(socket, 'connect')
    await ask(socket, hello, welcome)
    return new SocketPublisher(socket, options)
  }

  pack(payloads: readonly string[]): readonly Buffer[] {
    const writes: Buffer[] = []
    let text = ''
    for (const [number, payload] of payloads.entries()) {
      text += this.#options.wrap(payload, number)
      if (text.length < WRITE_BYTES) continue
      writes.push(Buffer.from(text, 'latin1'))
      text = ''
    }
    return text === '' ? writes : [...writes, Buffer.from(text, 'latin1')]
  }

  async send(packed: Buffer): Promise<void> {
    if (!this.#socket.write(packed)) await once(this.#socket, 'drain')
  }

  async finish(): Promise<void> {
    await ask(this.#socket, this.#options.ping, this.#options.pong)
    this.#socket.destroy()
  }
}

function ask(socket: Socket, question: string, awaited: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let text = ''
  const listen = (piece: Buffer) => {
    text += piece.toString('latin1')
    if (!text.includes(awaited)) return
    socket.off('data', listen)
    resolve()
  }
  socket.on('data', listen)
  socket.once('close', () => reject(new Error(`the server closed: ${text}`)))
  socket.write(question, 'latin1')
  return promise
}
