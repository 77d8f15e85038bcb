import type { Principal, Rights } from '../../auth/principal.ts'
import { ALL_TOPICS } from '../../protocol/topic-filter.ts'
import type { Batch } from '../delivery/batch.ts'
import type { Delivery } from '../delivery/delivery.ts'
import { onceDrained } from '../delivery/once-drained.ts'
import type { Sink } from '../delivery/sink.ts'
import { Stream } from '../delivery/stream.ts'
import type { LogReader } from '../log/event-log.ts'
import { ROWS_ENCODING } from './event-rows.ts'
import type { MessageLink } from './message-link.ts'

/** The first message of a feed, and each that follows with rows. */
export type FeedMessage =
  | { readonly epoch: string; readonly start: number }
  | { readonly through: number }

const TICK_MS = 1000

/** The process at the other end asks for each of its connections what that one may receive. */
const ALL_RIGHTS: Rights = { may: () => true, overlaps: () => true, covers: () => true }
const FEED: Principal = { user: null, rights: ALL_RIGHTS, credential: null }

/**
 * Feeds a process that holds streams with every commit. It is one more subscriber: what comes together
 * leaves together, is encoded once for all such processes, and one that lags is continued from the log.
 *
 * @param onEnd - called when it has fallen out of the history
 */
export function feedEvents(
  { log, delivery }: { readonly log: LogReader; readonly delivery: Delivery },
  link: MessageLink,
  onEnd: () => void,
): Disposable {
  const stream = new Stream({ log, delivery, sink: new LinkSink(link, onEnd) }, FEED)
  const start = { epoch: log.epoch, start: log.head } satisfies FeedMessage
  link.send(start)
  const since = { epoch: log.epoch, offset: log.head }
  stream.subscribe([ALL_TOPICS], since).catch(onEnd)
  // It has no positions to be told: only that it still takes what it is given.
  const timer = setInterval(() => stream.tick(Number.POSITIVE_INFINITY), TICK_MS).unref()
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer)
      stream[Symbol.dispose]()
    },
  }
}

class LinkSink implements Sink {
  readonly encoding = ROWS_ENCODING
  readonly transport = undefined
  readonly isResumable = true
  readonly #link: MessageLink
  readonly #onEnd: () => void

  constructor(link: MessageLink, onEnd: () => void) {
    this.#link = link
    this.#onEnd = onEnd
  }

  get backlogBytes(): number {
    return this.#link.socket.writableLength
  }

  get takenBytes(): number {
    const { socket } = this.#link
    return socket.bytesWritten - socket.writableLength
  }

  deliver(batch: Batch): void {
    this.#link.send({ through: batch.through } satisfies FeedMessage, batch.bytes)
  }

  onceDrained(callback: () => void): void {
    onceDrained(this.#link.socket, callback)
  }

  position(): void {}

  end(): void {
    this.#onEnd()
  }
}
