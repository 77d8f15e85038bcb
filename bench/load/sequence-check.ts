import { clockMs } from '../measure/clock.ts'
import type { Histogram } from '../measure/percentiles.ts'
import { MARKER, numberAt, publisherAt, sentMsAt } from './payload.ts'
import { numberInGroup, type TopicGroup } from './topic-groups.ts'

export interface SequenceCheckOptions {
  /** Takes the time from sending to reading of each payload. */
  readonly latencies?: Histogram | undefined
  /** Only what is sent to this group is expected. */
  readonly group?: TopicGroup | undefined
}

/** Whether every publisher's payloads come whole, each once, in order. */
export class SequenceCheck {
  /** By publisher, how many have come. */
  readonly #counts: number[] = []
  readonly #group: TopicGroup | undefined
  readonly #latencies: Histogram | undefined
  #markerAt = 0
  #fault: string | undefined

  constructor({ latencies, group }: SequenceCheckOptions = {}) {
    this.#latencies = latencies
    this.#group = group
  }

  get fault(): string | undefined {
    return this.#fault
  }

  /** Looks at a message that holds one payload in `[start, end)`. */
  take(bytes: Buffer, start: number, end: number): void {
    const at = this.#find(bytes, start, end)
    if (at === -1) {
      this.#fault ??= 'a message without a payload'
      return
    }
    const publisher = publisherAt(bytes, at)
    const number = numberAt(bytes, at)
    const count = this.#counts[publisher] ?? 0
    const expected = this.#group === undefined ? count : numberInGroup(this.#group, count)
    if (number !== expected)
      this.#fault ??= `got ${number} of publisher ${publisher}, not ${expected}`
    this.#counts[publisher] = count + 1
    this.#latencies?.add(clockMs() - sentMsAt(bytes, at))
  }

  /** Payloads lie at the same place of nearly all messages: look there first. */
  #find(bytes: Buffer, start: number, end: number): number {
    const guess = start + this.#markerAt
    if (bytes[guess] === 0x7b && bytes[guess + 1] === 0x22 && bytes[guess + 2] === 0x70)
      return guess
    const at = bytes.indexOf(MARKER, start)
    if (at === -1 || at >= end) return -1
    this.#markerAt = at - start
    return at
  }
}
