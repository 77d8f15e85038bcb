import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/**
 * Speaks ZMTP 3.0 with PLAIN by hand: to send what no library would, and to see how a handshake ends (the
 * monitors of zeromq.js may leave the thread that closes sockets waiting for ever). @see ZeroMQ RFC 23, 24
 */
export class RawPeer implements Disposable {
  readonly #socket: Socket
  readonly #closed: Promise<unknown>
  #received: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#closed = once(socket, 'close')
    // A reset is followed by the close, which is what counts.
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
  }

  static async connect(endpoint: string): Promise<RawPeer> {
    const { hostname, port } = new URL(endpoint)
    const socket = connect(Number(port), hostname)
    const peer = new RawPeer(socket)
    await once(socket, 'connect')
    return peer
  }

  /** Connects as a SUB socket that is let in. */
  static async subscriber(endpoint: string, user: string, token: string): Promise<RawPeer> {
    const peer = await RawPeer.connect(endpoint)
    const answer = await peer.#logIn(user, token)
    if (answer !== 'WELCOME') throw new Error(`not let in: ${answer}`)
    peer.write(command('INITIATE', short('Socket-Type'), long('SUB')))
    await peer.#take(2)
    return peer
  }

  get isClosed(): Promise<unknown> {
    return this.#closed
  }

  /** Reads no more. */
  pause(): void {
    this.#socket.pause()
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** One frame, the only one of its message. */
  send(body: string): void {
    this.write(Buffer.concat([Buffer.from([0, body.length]), Buffer.from(body, 'latin1')]))
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
  }

  async #logIn(user: string, token: string): Promise<string> {
    this.write(greeting('PLAIN'))
    await this.#take(64)
    this.write(command('HELLO', short(user), short(token)))
    const [, size = 0] = await this.#take(2)
    const body = (await this.#take(size)).toString('latin1')
    // libzmq 4.3 does not write the first byte of ERROR.
    if (body.includes('RROR')) return `ERROR ${body.slice(-3)}`
    return body.includes('WELCOME') ? 'WELCOME' : body
  }

  /** The next `count` bytes that come. */
  async #take(count: number): Promise<Buffer> {
    while (this.#received.length < count) await once(this.#socket, 'data')
    const taken = this.#received.subarray(0, count)
    this.#received = this.#received.subarray(count)
    return taken
  }

  /** What the server answers to a user name and a token: `WELCOME` or `ERROR` and a status. */
  static async logIn(endpoint: string, user: string, token: string): Promise<string> {
    using peer = await RawPeer.connect(endpoint)
    return await peer.#logIn(user, token)
  }
}

export function greeting(mechanism: string): Buffer {
  const bytes = Buffer.alloc(64)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = 3
  bytes.write(mechanism, 12, 'latin1')
  return bytes
}

function command(name: string, ...fields: Buffer[]): Buffer {
  const body = Buffer.concat([short(name), ...fields])
  return Buffer.concat([Buffer.from([4, body.length]), body])
}

function short(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}

function long(text: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, Buffer.from(text)])
}
