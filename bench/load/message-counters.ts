import type { SequenceCheck } from './sequence-check.ts'

/** Counts the messages of one connection; a `check` looks into each of them. */
export interface MessageCounter {
  readonly count: number
  readonly bytes: number
  take(bytes: Buffer, start: number, end: number, isLast: boolean): void
}

/** One message per WebSocket message: the broker, Socket.IO, bare `ws`. */
export class FrameCounter implements MessageCounter {
  readonly #check: SequenceCheck | undefined
  #partial: Buffer[] = []
  count = 0
  bytes = 0

  constructor(check: SequenceCheck | undefined) {
    this.#check = check
  }

  take(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    this.bytes += end - start
    if (isLast) this.count += 1
    if (this.#check === undefined) return
    if (isLast && this.#partial.length === 0) {
      this.#check.take(bytes, start, end)
      return
    }
    this.#partial.push(Buffer.from(bytes.subarray(start, end)))
    if (!isLast) return
    const whole = Buffer.concat(this.#partial)
    this.#partial = []
    this.#check.take(whole, 0, whole.length)
  }
}

/**
 * Messages of one size in a byte stream that the frames cut anywhere: `MSG subject 1 128\r\n...` of NATS,
 * PUBLISH packets of MQTT. Anything that does not begin with `first` is another message, of `otherBytes`.
 */
export class StreamCounter implements MessageCounter {
  readonly #first: number
  readonly #messageBytes: number
  readonly #otherBytes: number
  readonly #check: SequenceCheck | undefined
  readonly #whole: Buffer
  #left = 0
  #isMessage = false
  count = 0
  bytes = 0

  constructor({ first, messageBytes, otherBytes }: StreamShape, check: SequenceCheck | undefined) {
    this.#first = first
    this.#messageBytes = messageBytes
    this.#otherBytes = otherBytes
    this.#check = check
    this.#whole = Buffer.alloc(messageBytes)
  }

  take(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start
    let at = start
    while (at < end) {
      if (this.#left === 0) {
        this.#isMessage = bytes[at] === this.#first
        this.#left = this.#isMessage ? this.#messageBytes : this.#otherBytes
      }
      const until = Math.min(end, at + this.#left)
      if (this.#isMessage) this.#piece(bytes, at, until)
      this.#left -= until - at
      at = until
    }
  }

  #piece(bytes: Buffer, at: number, until: number): void {
    const isLast = until - at === this.#left
    if (isLast) this.count += 1
    if (this.#check === undefined) return
    if (until - at === this.#messageBytes) {
      this.#check.take(bytes, at, until)
      return
    }
    bytes.copy(this.#whole, this.#messageBytes - this.#left, at, until)
    if (isLast) this.#check.take(this.#whole, 0, this.#messageBytes)
  }
}

export interface StreamShape {
  /** The first byte of a message. */
  readonly first: number
  readonly messageBytes: number
  /** Size of what else comes, e.g. `PING\r\n`. */
  readonly otherBytes: number
}
