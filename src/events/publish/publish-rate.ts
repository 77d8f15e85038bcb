import { BrokerError } from '../../protocol/problem.ts'

/** Users whose rate is remembered before the idle ones are forgotten. */
const MAX_REMEMBERED = 10_000

/**
 * How many events a second each user may publish, averaged. What a user may spend grows with time up to one
 * second's worth; a batch may spend more than is there, and the next one waits until that is made good.
 */
export class PublishRate {
  readonly #perSecond: number
  readonly #now: () => number
  /** When each user has made good what it spent, in milliseconds of `now`. */
  readonly #paidAt = new Map<string, number>()

  /**
   * @param perSecond - `Infinity` for no limit
   * @param now - milliseconds that never go back
   */
  constructor(perSecond: number, now: () => number = () => performance.now()) {
    this.#perSecond = perSecond
    this.#now = now
  }

  /** @throws {BrokerError} `TOO_MANY_REQUESTS` with the time after which it may be tried again */
  spend(user: string | null, events: number): void {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return
    const now = this.#now()
    const key = user ?? ''
    const paidAt = Math.max(this.#paidAt.get(key) ?? Number.NEGATIVE_INFINITY, now - 1000)
    if (paidAt > now) {
      const fields = { retryAfterSeconds: Math.ceil((paidAt - now) / 1000) }
      const detail = `a user publishes at most ${this.#perSecond} events a second`
      throw new BrokerError('TOO_MANY_REQUESTS', detail, { fields })
    }
    if (this.#paidAt.size >= MAX_REMEMBERED) this.#forget(now)
    this.#paidAt.set(key, paidAt + (events * 1000) / this.#perSecond)
  }

  #forget(now: number): void {
    for (const [user, paidAt] of this.#paidAt) {
      if (paidAt <= now - 1000) this.#paidAt.delete(user)
    }
  }
}
