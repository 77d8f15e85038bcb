import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Speaks ZMTP 3.0 with PLAIN by hand, to send what no library would. @see ZeroMQ RFC 23, RFC 24 */
export class RawPeer implements Disposable {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async connect(endpoint: string): Promise<RawPeer> {
    const { hostname, port } = new URL(endpoint)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return new RawPeer(socket)
  }

  /** Connects as a SUB socket that is let in. */
  static async subscriber(endpoint: string, user: string, token: string): Promise<RawPeer> {
    const peer = await RawPeer.connect(endpoint)
    peer.write(greeting('PLAIN'))
    await peer.#received(64)
    peer.write(command('HELLO', short(user), short(token)))
    await peer.#received(1)
    peer.write(command('INITIATE', short('Socket-Type'), long('SUB')))
    await peer.#received(1)
    return peer
  }

  get isClosed(): Promise<unknown> {
    this.#socket.resume()
    return this.#socket.closed ? Promise.resolve() : once(this.#socket, 'close')
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

  async #received(count: number): Promise<void> {
    for (let size = 0; size < count; ) {
      const [chunk] = await once(this.#socket, 'data')
      size += chunk.length
    }
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
