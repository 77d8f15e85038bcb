/** What a frame reader hands on: a piece of a frame's payload, in order. */
export type TakePayload = (bytes: Buffer, start: number, end: number, isLast: boolean) => void

/** Takes unmasked WebSocket frames apart without copying them (RFC 6455 section 5.2). */
export class FrameReader {
  readonly #take: TakePayload
  readonly #control: (opcode: number) => void
  readonly #header = Buffer.alloc(10)
  #headerBytes = 0
  #left = 0
  #isControl = false

  constructor(take: TakePayload, control: (opcode: number) => void) {
    this.#take = take
    this.#control = control
  }

  feed(bytes: Buffer, from: number, end: number): void {
    let at = from
    while (at < end) {
      if (this.#left === 0) at = this.#readHeader(bytes, at, end)
      if (this.#left === 0 || at >= end) continue
      const until = Math.min(end, at + this.#left)
      this.#left -= until - at
      if (!this.#isControl) this.#take(bytes, at, until, this.#left === 0)
      at = until
    }
  }

  #readHeader(bytes: Buffer, at: number, end: number): number {
    if (this.#headerBytes === 0 && end - at >= 10) {
      const size = headerSize(bytes[at + 1] ?? 0)
      this.#begin(bytes, at, size)
      return at + size
    }
    let next = at
    while (next < end) {
      this.#header[this.#headerBytes] = bytes[next] ?? 0
      this.#headerBytes += 1
      next += 1
      if (this.#headerBytes < 2) continue
      const size = headerSize(this.#header[1] ?? 0)
      if (this.#headerBytes < size) continue
      this.#headerBytes = 0
      this.#begin(this.#header, 0, size)
      return next
    }
    return next
  }

  #begin(bytes: Buffer, at: number, size: number): void {
    if (size === 2) this.#left = bytes[at + 1] ?? 0
    else if (size === 4) this.#left = bytes.readUInt16BE(at + 2)
    else this.#left = Number(bytes.readBigUInt64BE(at + 2))
    const opcode = (bytes[at] ?? 0) & 0x0f
    this.#isControl = opcode >= 8
    if (this.#isControl) this.#control(opcode)
  }
}

function headerSize(second: number): number {
  if (second < 126) return 2
  return second === 126 ? 4 : 10
}

/** A client's frame, of one character per byte; its mask of zeros leaves the payload as it is. */
export function clientFrame(opcode: number, payload: string): Buffer {
  const body = Buffer.from(payload, 'latin1')
  const head =
    body.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0])
      : Buffer.from([0x80 | opcode, 0xfe, body.length >> 8, body.length & 0xff, 0, 0, 0, 0])
  return Buffer.concat([head, body])
}
