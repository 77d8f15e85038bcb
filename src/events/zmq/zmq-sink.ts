import type { CloseReason } from '../../protocol/close-codes.ts'
import { formatPosition } from '../../protocol/position.ts'
import type { Batch } from '../delivery/batch.ts'
import { NDJSON_ENCODING } from '../delivery/encoding.ts'
import type { Sink } from '../delivery/sink.ts'
import type { ZmqOutbox } from './zmq-outbox.ts'

/** The subscriptions of a DEALER as a sink: `EVENT`, topic, JSON. */
export class ZmqSink implements Sink {
  /** Each event is a message of its own: nothing is encoded, and the audience is that of NDJSON streams. */
  readonly encoding = NDJSON_ENCODING
  readonly transport = 'zmq'
  /** A gap is told in the stream: the connection is libzmq's, and stays. */
  readonly isResumable = false
  readonly #outbox: ZmqOutbox
  readonly #epoch: string
  readonly #onEnd: (reason: CloseReason) => void
  #lastPosition: string

  /** @param head - the offset of the newest event */
  constructor(
    outbox: ZmqOutbox,
    log: { readonly epoch: string; readonly head: number },
    onEnd: (reason: CloseReason) => void,
  ) {
    this.#outbox = outbox
    this.#epoch = log.epoch
    this.#lastPosition = formatPosition(log.epoch, log.head)
    this.#onEnd = onEnd
  }

  get backlogBytes(): number {
    return this.#outbox.bytes
  }

  get takenBytes(): number {
    return this.#outbox.takenBytes
  }

  /** What the peer was sent, or is being sent, is complete up to here. */
  get lastPosition(): string {
    return this.#lastPosition
  }

  deliver({ events, through }: Batch): void {
    for (const { topic, json } of events) {
      this.#outbox.send({ isEvent: true, frames: ['EVENT', topic, json] })
    }
    this.#lastPosition = formatPosition(this.#epoch, through)
  }

  onceDrained(callback: () => void): void {
    this.#outbox.onceDrained(callback)
  }

  /** Told in the next `PONG`. */
  position(position: string): void {
    this.#lastPosition = position
  }

  end(reason: CloseReason): void {
    this.#onEnd(reason)
  }
}
