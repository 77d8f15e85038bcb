import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { WakeUp } from './wake-up.ts'

export const TEXT = 1
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export interface Frame {
  readonly opcode: number
  readonly payload: Buffer
}

export interface FrameOptions {
  readonly isFinal?: boolean
  readonly isMasked?: boolean
  /** RSV1 to RSV3 as the bits 4, 2 and 1. */
  readonly reserved?: number
  /** What the header says instead of the real length. */
  readonly length?: bigint
}

/** A frame of a client as bytes, of whatever kind. */
export function frame(
  opcode: number,
  content: string | Uint8Array = '',
  { isFinal = true, isMasked = true, reserved = 0, length }: FrameOptions = {},
): Buffer {
  const payload = Buffer.from(content as string)
  const size = length ?? BigInt(payload.length)
  const bits = size < 126n ? Number(size) : size < 65_536n ? 126 : 127
  const head = Buffer.alloc(bits < 126 ? 2 : bits === 126 ? 4 : 10)
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode
  head[1] = (isMasked ? 0x80 : 0) | bits
  if (bits === 126) head.writeUInt16BE(Number(size), 2)
  if (bits === 127) head.writeBigUInt64BE(size, 2)
  if (!isMasked) return Buffer.concat([head, payload])
  const mask = randomBytes(4)
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  return Buffer.concat([head, mask, masked])
}

/** The payload of a close frame. */
export function closing(code: number, reason: string | Uint8Array = ''): Buffer {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason as string)])
}

/**
 * A WebSocket client that sends any bytes and holds the server to RFC 6455: frames unmasked, whole, with
 * the shortest length, and nothing after the close.
 */
export class RawWebSocket implements Disposable {
  readonly socket: Socket
  readonly frames: Frame[] = []
  /** True when the server has sent its end of the stream. */
  hasEnded = false
  #isClosed = false
  #fault: unknown
  #rest: Buffer = Buffer.alloc(0)
  readonly #changed = new WakeUp()

  private constructor(socket: Socket) {
    this.socket = socket
  }

  static async open(url: string, token?: string): Promise<RawWebSocket> {
    const { hostname, port, pathname, search } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    socket.setNoDelay(true)
    const raw = new RawWebSocket(socket)
    const key = randomBytes(16).toString('base64')
    const fields = [
      `GET ${pathname}${search} HTTP/1.1`,
      'Host: test',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${key}`,
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ]
    socket.write(`${fields.join('\r\n')}\r\n\r\n`)
    let head = Buffer.alloc(0)
    while (!head.includes('\r\n\r\n')) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      head = Buffer.concat([head, chunk])
    }
    const end = head.indexOf('\r\n\r\n') + 4
    const answer = head.subarray(0, end).toString()
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    assert.match(answer, /^HTTP\/1\.1 101 /)
    assert.ok(answer.includes(`Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n`), answer)
    raw.#listen(head.subarray(end))
    return raw
  }

  /** Text messages received, as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  get messages(): any[] {
    return this.frames
      .filter(({ opcode }) => opcode === TEXT)
      .map(({ payload }) => JSON.parse(payload.toString()))
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(frames))
  }

  command(message: unknown): void {
    this.send(frame(TEXT, JSON.stringify(message)))
  }

  /** Resolves as soon as `look` finds something in what has come. */
  async wait<T>(look: (self: this) => T | undefined): Promise<T> {
    for (;;) {
      if (this.#fault !== undefined) throw this.#fault
      const found = look(this)
      if (found !== undefined) return found
      if (this.#isClosed || this.hasEnded) throw new Error('the connection is over')
      await this.#changed.next()
    }
  }

  frame(opcode: number): Promise<Frame> {
    return this.wait(({ frames }) => frames.find((frame) => frame.opcode === opcode))
  }

  /** The code of the server's close frame; undefined when it has none. */
  async closeCode(): Promise<number | undefined> {
    const { payload } = await this.frame(CLOSE)
    return payload.length === 0 ? undefined : payload.readUInt16BE()
  }

  /** Resolves when the server has ended the stream in an orderly way, which a reset is not. */
  async ended(): Promise<void> {
    await this.wait(({ hasEnded }) => hasEnded || undefined)
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #listen(head: Buffer): void {
    this.#take(head)
    this.socket.on('data', (chunk) => this.#take(chunk))
    this.socket.on('error', (error) => this.#fail(error))
    this.socket.on('end', () => {
      this.hasEnded = true
      this.#changed.wake()
    })
    this.socket.on('close', () => {
      this.#isClosed = true
      this.#changed.wake()
    })
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    try {
      for (let found = parse(this.#rest); found !== undefined; found = parse(this.#rest)) {
        assert.notEqual(this.frames.at(-1)?.opcode, CLOSE, 'a frame comes after the close')
        this.frames.push(found)
        this.#rest = this.#rest.subarray(found.end)
      }
    } catch (error) {
      this.#fail(error)
    }
    this.#changed.wake()
  }

  #fail(error: unknown): void {
    this.#fault ??= error
    this.#changed.wake()
  }
}

/** The first frame of `bytes`, once it is whole. */
function parse(bytes: Buffer): (Frame & { readonly end: number }) | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const opcode = first & 0x0f
  assert.equal(first & 0xf0, 0x80, 'a frame of the server is whole and has no reserved bit')
  assert.ok([TEXT, CLOSE, PING, PONG].includes(opcode), `opcode ${opcode}`)
  assert.equal(second & 0x80, 0, 'a frame of the server is not masked')
  let [start, length] = [2, second & 0x7f]
  if (length === 126) {
    if (bytes.length < 4) return undefined
    ;[start, length] = [4, bytes.readUInt16BE(2)]
    assert.ok(length >= 126, 'the length is written in the shortest way')
  } else if (length === 127) {
    if (bytes.length < 10) return undefined
    ;[start, length] = [10, Number(bytes.readBigUInt64BE(2))]
    assert.ok(length >= 65_536, 'the length is written in the shortest way')
  }
  if (opcode !== TEXT) assert.ok(length <= 125, 'a control frame is short')
  const end = start + length
  return bytes.length < end ? undefined : { opcode, payload: bytes.subarray(start, end), end }
}
