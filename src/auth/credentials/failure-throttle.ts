import { BrokerError } from '../../protocol/problem.ts'

export interface FailureThrottleOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Failures within a window that are answered; the next attempt is refused unread. */
  readonly maxFailures?: number
  readonly windowMs?: number
  /** Sources remembered at once; the oldest is forgotten first. */
  readonly maxSources?: number
}

/** What failed from one source since `sinceMs`: how often each secret, by its hash. */
interface Failures {
  readonly sinceMs: number
  readonly counts: Map<string, number>
}

/**
 * Bounds guessing. Many different wrong secrets from one source close it until its window has passed. One
 * wrong secret sent again and again is a broken client and no guess: it is refused by itself and counts
 * once for the source, so that it locks nobody else out behind the same address.
 *
 * A closed source still admits a credential that was good from there before, and no other, not even a
 * right one: an answer to a new one would give a guesser unlimited tries.
 */
export class FailureThrottle {
  readonly #now: () => number
  readonly #maxFailures: number
  readonly #windowMs: number
  readonly #maxSources: number
  readonly #failures = new Map<string, Failures>()
  /** Source and hash of what was good lately, and of what was before: no look at the clock, no order kept. */
  #good = new Set<string>()
  #goodBefore: ReadonlySet<string> = new Set()

  constructor(options: FailureThrottleOptions) {
    this.#now = options.now
    this.#maxFailures = options.maxFailures ?? 10
    this.#windowMs = options.windowMs ?? 60_000
    this.#maxSources = options.maxSources ?? 10_000
  }

  /**
   * Asked before a secret is looked at.
   *
   * @param hash - of the secret; it is all that is kept of it
   * @throws {BrokerError} `TOO_MANY_REQUESTS` with `retryAfterSeconds`
   */
  check(source: string, hash: string): void {
    const failures = this.#live(source)
    if (failures === undefined) return
    const isRepeated = (failures.counts.get(hash) ?? 0) >= this.#maxFailures
    const isClosed =
      failures.counts.size >= this.#maxFailures && !this.#wasGood(goodKey(source, hash))
    if (!isRepeated && !isClosed) return
    const waitMs = failures.sinceMs + this.#windowMs - this.#now()
    throw new BrokerError('TOO_MANY_REQUESTS', 'too many failed authentications from here', {
      fields: { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) },
    })
  }

  failed(source: string, hash: string): void {
    const failures = this.#live(source) ?? this.#begin(source)
    failures.counts.set(hash, (failures.counts.get(hash) ?? 0) + 1)
  }

  succeeded(source: string, hash: string): void {
    const key = goodKey(source, hash)
    if (this.#good.has(key)) return
    if (this.#good.size >= this.#maxSources / 2) {
      this.#goodBefore = this.#good
      this.#good = new Set()
    }
    this.#good.add(key)
  }

  #wasGood(key: string): boolean {
    return this.#good.has(key) || this.#goodBefore.has(key)
  }

  #live(source: string): Failures | undefined {
    const failures = this.#failures.get(source)
    if (failures === undefined) return undefined
    if (this.#now() < failures.sinceMs + this.#windowMs) return failures
    this.#failures.delete(source)
    return undefined
  }

  #begin(source: string): Failures {
    const failures = { sinceMs: this.#now(), counts: new Map<string, number>() }
    this.#failures.set(source, failures)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > this.#maxSources && oldest !== undefined) {
      this.#failures.delete(oldest)
    }
    return failures
  }
}

function goodKey(source: string, hash: string): string {
  return `${hash} ${source}`
}
