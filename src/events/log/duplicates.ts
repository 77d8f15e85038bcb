import { BrokerError } from '../../protocol/problem.ts'
import type { Topic } from '../../protocol/topic.ts'

/** How long an identity is remembered, in milliseconds. */
export const DUPLICATE_WINDOW_MS = 5 * 60_000

/** Most identities remembered: the oldest give way. */
export const MAX_IDENTITIES = 1_000_000

/** The first publish under an identity. */
export interface FirstPublish {
  readonly id: string
  readonly offset: number
  readonly topic: Topic
  /** Milliseconds since the epoch. */
  readonly time: number
}

/** The identities of late, so that a publisher may repeat what it is not sure of. */
export class Duplicates {
  /** In order of time, which is the order of insertion. */
  readonly #first = new Map<string, FirstPublish>()

  get size(): number {
    return this.#first.size
  }

  /**
   * @returns the first publish under `identity` within the window, if there was one
   * @param index - where the event stands in its batch, for the problem
   * @throws {BrokerError} `EVENT_CONFLICT` when it was on another topic
   */
  find(identity: string, topic: Topic, now: number, index: number): FirstPublish | undefined {
    const first = this.#first.get(identity)
    if (first === undefined || first.time <= now - DUPLICATE_WINDOW_MS) return undefined
    if (first.topic !== topic) {
      const detail = 'an event with this source and id is on another topic'
      throw new BrokerError('EVENT_CONFLICT', detail, { fields: { index } })
    }
    return first
  }

  remember(identity: string, first: FirstPublish): void {
    this.#first.delete(identity)
    this.#first.set(identity, first)
    this.#prune(first.time)
  }

  /** True while `offset` is the first publish under `identity`. */
  stands(identity: string, offset: number): boolean {
    return this.#first.get(identity)?.offset === offset
  }

  /** Takes back what did not become durable, unless a later publish has taken its place. */
  forget(identity: string, offset: number): void {
    if (this.stands(identity, offset)) this.#first.delete(identity)
  }

  #prune(now: number): void {
    for (const [identity, { time }] of this.#first) {
      if (this.#first.size <= MAX_IDENTITIES && time > now - DUPLICATE_WINDOW_MS) return
      this.#first.delete(identity)
    }
  }
}
