import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The wire of ZeroMQ, so far as a client needs it that is cheaper than what it measures. @see ZeroMQ RFC 23 */
export interface ZmtpOptions {
  readonly host: string
  readonly port: number
  readonly socketType: 'DEALER' | 'SUB'
  /** PLAIN; without it NULL. */
  readonly plain?: { readonly user: string; readonly password: string } | undefined
}

const MORE = 1
const LONG = 2
const COMMAND = 4

const GREETING_BYTES = 64

/** A frame lies in `[start, end)` of `bytes`; `isLast` of its message. */
export type TakeFrame = (bytes: Buffer, start: number, end: number, isLast: boolean) => void

/** A connection to a socket of libzmq. */
export class ZmtpConnection {
  readonly #socket: Socket
  readonly #reader: ZmtpReader
  #take: TakeFrame = () => {}
  #afterRead: () => void = () => {}
  isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#reader = new ZmtpReader((bytes, start, end, isLast) =>
      this.#take(bytes, start, end, isLast),
    )
  }

  /** Resolves when both sides have shaken hands. */
  static async open({ host, port, socketType, plain }: ZmtpOptions): Promise<ZmtpConnection> {
    const socket = connect({ host, port, noDelay: true })
    await once(socket, 'connect')
    socket.write(greeting(plain === undefined ? 'NULL' : 'PLAIN'))
    const connection = new ZmtpConnection(socket)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    socket.on('error', reject)
    socket.on('close', () => {
      connection.isClosed = true
      reject(new Error('closed before it was ready'))
      connection.#afterRead()
    })
    const metadata = property('Socket-Type', socketType)
    if (plain === undefined) socket.write(command('READY', metadata))
    else socket.write(command('HELLO', short(plain.user), short(plain.password)))
    connection.#reader.onCommand = (name, body) => {
      if (name === 'WELCOME') socket.write(command('INITIATE', metadata))
      if (name === 'READY') resolve()
      // Who does not answer is cut off. The first two bytes of a PING say how long the sender is patient.
      if (name === 'PING') socket.write(command('PONG', body.subarray(2)))
      if (name === 'ERROR') reject(new Error(`refused: ${body.toString()}`))
    }
    socket.on('data', (chunk: Buffer) => {
      connection.#reader.feed(chunk)
      connection.#afterRead()
    })
    await promise
    return connection
  }

  /** From now on what comes goes to `take`; `afterRead` is called after each read and at the end. */
  listen(take: TakeFrame, afterRead: () => void): void {
    this.#take = take
    this.#afterRead = afterRead
  }

  /** @param bytes - of whole messages, see `zmtpMessage` */
  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  close(): void {
    this.#socket.destroy()
  }
}

export function zmtpMessage(frames: readonly string[]): Buffer {
  return Buffer.concat(
    frames.map((frame, index) => framed(index < frames.length - 1 ? MORE : 0, Buffer.from(frame))),
  )
}

/** Takes a stream apart that begins with the greeting of the other side. */
class ZmtpReader {
  readonly #take: TakeFrame
  #rest: Buffer = Buffer.alloc(0)
  #isGreeted = false
  onCommand: (name: string, body: Buffer) => void = () => {}

  constructor(take: TakeFrame) {
    this.#take = take
  }

  feed(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    if (!this.#isGreeted && bytes.length >= GREETING_BYTES) {
      this.#isGreeted = true
      at = GREETING_BYTES
    }
    if (this.#isGreeted) at = this.#frames(bytes, at)
    this.#rest = bytes.subarray(at)
  }

  /** @returns where the first frame begins that is not whole yet */
  #frames(bytes: Buffer, from: number): number {
    let at = from
    for (;;) {
      const flags = bytes[at] ?? 0
      const start = at + (flags & LONG ? 9 : 2)
      if (start > bytes.length) return at
      const size = flags & LONG ? Number(bytes.readBigUInt64BE(at + 1)) : (bytes[at + 1] ?? 0)
      const end = start + size
      if (end > bytes.length) return at
      if (flags & COMMAND) this.#command(bytes.subarray(start, end))
      else this.#take(bytes, start, end, !(flags & MORE))
      at = end
    }
  }

  #command(body: Buffer): void {
    const end = 1 + (body[0] ?? 0)
    this.onCommand(body.toString('latin1', 1, end), body.subarray(end))
  }
}

/** Signature, version 3.0, mechanism, and that this is no server. */
function greeting(mechanism: string): Buffer {
  const bytes = Buffer.alloc(GREETING_BYTES)
  bytes[0] = 0xff
  bytes[9] = 0x7f
  bytes[10] = 3
  bytes.write(mechanism, 12, 'latin1')
  return bytes
}

function command(name: string, ...parts: readonly Buffer[]): Buffer {
  return framed(COMMAND, Buffer.concat([short(name), ...parts]))
}

function property(name: string, value: string): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(value.length)
  return Buffer.concat([short(name), size, Buffer.from(value)])
}

function short(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
}

function framed(flags: number, body: Buffer): Buffer {
  if (body.length < 256) return Buffer.concat([Buffer.from([flags, body.length]), body])
  const head = Buffer.alloc(9)
  head[0] = flags | LONG
  head.writeBigUInt64BE(BigInt(body.length), 1)
  return Buffer.concat([head, body])
}
