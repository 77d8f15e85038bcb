import { BrokerError } from '../../protocol/problem.ts'
import { createToken, tokenHash } from '../credentials/tokens.ts'
import type { Principal } from '../principal.ts'

/** How long an exchanged token is good. */
export const ISSUED_SECONDS = 15 * 60

const MAX_ISSUED = 100_000
const MAX_ISSUED_PER_USER = 10_000

interface Issued {
  readonly principal: Principal
  readonly forgottenMs: number
}

/**
 * Tokens that workloads were given, by their hash: in memory alone, so that a restart forgets them, and a
 * job exchanges its own again. In order of their end, since all live equally long or shorter.
 */
export class IssuedTokens {
  readonly #now: () => number
  readonly #issued = new Map<string, Issued>()
  readonly #perUser = new Map<string, number>()

  /** @param now - milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now
  }

  /**
   * @returns the token, which nothing here keeps
   * @throws {BrokerError} `TOO_MANY_REQUESTS` when too many are good at once
   */
  issue(principal: Principal): string {
    const now = this.#now()
    this.#prune(now)
    const user = principal.user ?? ''
    const ofUser = this.#perUser.get(user) ?? 0
    if (ofUser >= MAX_ISSUED_PER_USER || this.#issued.size >= MAX_ISSUED) {
      throw new BrokerError('TOO_MANY_REQUESTS', 'too many exchanged tokens are good at once', {
        fields: { retryAfterSeconds: 60 },
      })
    }
    const secret = createToken()
    const forgottenMs = now + ISSUED_SECONDS * 1000
    this.#issued.set(tokenHash(secret), { principal, forgottenMs })
    this.#perUser.set(user, ofUser + 1)
    return secret
  }

  /** Whose token it is; whether it is still good, the directory decides. */
  principal(hash: string): Principal | undefined {
    return this.#issued.get(hash)?.principal
  }

  /** Forgets those that are no longer good. */
  retain(isGood: (principal: Principal) => boolean): void {
    for (const [hash, issued] of this.#issued) {
      if (!isGood(issued.principal)) this.#forget(hash, issued)
    }
  }

  #prune(now: number): void {
    for (const [hash, issued] of this.#issued) {
      if (issued.forgottenMs > now) break
      this.#forget(hash, issued)
    }
  }

  #forget(hash: string, { principal }: Issued): void {
    this.#issued.delete(hash)
    const user = principal.user ?? ''
    const left = (this.#perUser.get(user) ?? 1) - 1
    if (left === 0) this.#perUser.delete(user)
    else this.#perUser.set(user, left)
  }
}
