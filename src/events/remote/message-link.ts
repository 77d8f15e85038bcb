import type { Socket } from 'node:net'

/** One message: some JSON and, beside it, rows of events. */
export interface LinkMessage {
  readonly head: unknown
  readonly rows: Buffer
}

const PREFIX_BYTES = 8

/**
 * Messages between two processes of the broker, in order, over one socket. Big-endian:
 *
 *     uint32 bytes of the head | uint32 bytes of the rows | head, JSON | rows
 */
export class MessageLink {
  readonly #socket: Socket
  readonly #receive: (message: LinkMessage) => void
  #chunks: Buffer[] = []
  #received = 0

  /** @param receive - called with every message; the process at the other end is trusted */
  constructor(socket: Socket, receive: (message: LinkMessage) => void) {
    this.#socket = socket
    this.#receive = receive
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    // What ends a link is the end of the other process, which is noticed as such.
    socket.on('error', () => {})
  }

  get socket(): Socket {
    return this.#socket
  }

  send(head: unknown, rows?: Buffer): void {
    if (!this.#socket.writable) return
    const json = Buffer.from(JSON.stringify(head))
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES)
    prefix.writeUInt32BE(json.length, 0)
    prefix.writeUInt32BE(rows?.length ?? 0, 4)
    this.#socket.cork()
    this.#socket.write(prefix)
    this.#socket.write(json)
    if (rows !== undefined) this.#socket.write(rows)
    this.#socket.uncork()
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#received += chunk.length
    const first = this.#chunks[0]
    if (first === undefined || this.#received < this.#wanted(first)) return
    const bytes = this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)
    let at = 0
    while (bytes.length - at >= PREFIX_BYTES) {
      const headEnd = at + PREFIX_BYTES + bytes.readUInt32BE(at)
      const end = headEnd + bytes.readUInt32BE(at + 4)
      if (end > bytes.length) break
      const head: unknown = JSON.parse(bytes.toString('utf8', at + PREFIX_BYTES, headEnd))
      this.#receive({ head, rows: bytes.subarray(headEnd, end) })
      at = end
    }
    this.#chunks = at < bytes.length ? [bytes.subarray(at)] : []
    this.#received = bytes.length - at
  }

  /** Bytes with which at least one more message is whole. */
  #wanted(first: Buffer): number {
    if (first.length < PREFIX_BYTES) return PREFIX_BYTES
    return PREFIX_BYTES + first.readUInt32BE(0) + first.readUInt32BE(4)
  }
}
