import type { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { addressSource } from '../credentials/address-source.ts'
import type { FailureThrottle } from '../credentials/failure-throttle.ts'
import { tokenHash } from '../credentials/tokens.ts'
import type { Principal } from '../principal.ts'
import type { UserDirectory } from '../user-directory.ts'
import {
  signTicket,
  TICKET_SECONDS,
  type TicketClaims,
  type TicketPurpose,
  verifyTicket,
} from './ticket-claims.ts'

export interface TicketsDeps {
  /** 32 random bytes of this installation. */
  readonly key: Buffer
  readonly directory: UserDirectory
  readonly throttle: FailureThrottle
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What is asked with a ticket. */
export interface TicketUse {
  readonly purpose: TicketPurpose
  /** The request target as received; a stream of events is continued at the same one. */
  readonly target: string
  /** The file of a download. */
  readonly path?: string
  /** True with a `Last-Event-ID`: a browser continues a stream. */
  readonly isContinued: boolean
}

export interface IssuedTicket {
  readonly ticket: string
  readonly expiresMs: number
}

/** How long a stream of events may be continued with the ticket that opened it. */
const CONTINUE_MS = 60 * 60 * 1000
const MAX_OUTSTANDING = 100_000
const MAX_OUTSTANDING_PER_USER = 1_000

interface Outstanding {
  readonly principal: Principal
  readonly expiresMs: number
}

interface Continued extends Outstanding {
  readonly target: string
}

/**
 * Tickets for browsers, which cannot set header fields: signed, short-lived, used once, for one purpose.
 *
 * Tickets not yet used are remembered and not the used ones: a restart then forgets them all instead of
 * letting each be used again. Both maps are in order of expiry, since all entries live equally long.
 */
export class Tickets {
  readonly #deps: TicketsDeps
  readonly #outstanding = new Map<string, Outstanding>()
  readonly #perUser = new Map<string, number>()
  readonly #continued = new Map<string, Continued>()

  constructor(deps: TicketsDeps) {
    this.#deps = deps
  }

  /**
   * @param path - the file of a download; asked for by no other purpose
   * @throws {BrokerError} `UNAUTHENTICATED` for anonymous; `TOO_MANY_REQUESTS` when too many are unused
   */
  issue(principal: Principal, purpose: TicketPurpose, path?: FilePath): IssuedTicket {
    const { user } = principal
    if (user === null) throw new BrokerError('UNAUTHENTICATED', 'a ticket is made for a user')
    const now = this.#deps.now()
    this.#prune(now)
    const ofUser = this.#perUser.get(user) ?? 0
    if (ofUser >= MAX_OUTSTANDING_PER_USER || this.#outstanding.size >= MAX_OUTSTANDING) {
      throw new BrokerError('TOO_MANY_REQUESTS', 'too many tickets are waiting to be used', {
        fields: { retryAfterSeconds: TICKET_SECONDS },
      })
    }
    const id = randomBytes(16).toString('base64url')
    const issuedAt = Math.floor(now / 1000)
    const expiresMs = now + TICKET_SECONDS * 1000
    this.#perUser.set(user, ofUser + 1)
    this.#outstanding.set(id, { principal, expiresMs })
    const claims = { id, user, purpose, issuedAt, ...(path !== undefined && { path }) }
    return { ticket: signTicket(claims, this.#deps.key), expiresMs }
  }

  /**
   * Uses a ticket up.
   *
   * @param from - what forged tickets are counted by
   * @throws {BrokerError} `CREDENTIAL_INVALID` when it is not for this use, was used, has expired, or its
   *   user's credential is gone; `TOO_MANY_REQUESTS` after many forged ones
   */
  redeem(ticket: string, use: TicketUse, from: string): Principal {
    const { directory, now } = this.#deps
    const claims = this.#verify(ticket, from)
    if (claims.purpose !== use.purpose || claims.path !== use.path) {
      throw invalid('the ticket was made for something else')
    }
    this.#prune(now())
    const entry = this.#take(claims.id) ?? this.#continuedEntry(claims.id, use)
    const principal = entry && directory.renew(entry.principal)
    if (principal === undefined) throw invalid('the ticket has expired or was used')
    if (use.purpose === 'events' && !this.#continued.has(claims.id)) {
      const expiresMs = now() + CONTINUE_MS
      this.#continued.set(claims.id, { principal, expiresMs, target: use.target })
      dropOldest(this.#continued, MAX_OUTSTANDING)
    }
    return directory.byTicket(principal, claims.id)
  }

  /** Only a forged ticket counts: old ones come from every browser at once when the broker restarts. */
  #verify(ticket: string, from: string): TicketClaims {
    const hash = tokenHash(ticket)
    const source = addressSource(from)
    this.#deps.throttle.check(source, hash)
    const claims = verifyTicket(ticket, this.#deps.key)
    if (claims !== undefined) return claims
    this.#deps.throttle.failed(source, hash)
    throw invalid('the ticket is not one of this broker')
  }

  #take(id: string): Outstanding | undefined {
    const entry = this.#outstanding.get(id)
    if (entry !== undefined) this.#forget(id, entry)
    return entry
  }

  #continuedEntry(id: string, use: TicketUse): Continued | undefined {
    const entry = this.#continued.get(id)
    return use.isContinued && entry?.target === use.target ? entry : undefined
  }

  #prune(now: number): void {
    for (const [id, entry] of this.#outstanding) {
      if (entry.expiresMs > now) break
      this.#forget(id, entry)
    }
    for (const [id, entry] of this.#continued) {
      if (entry.expiresMs > now) break
      this.#continued.delete(id)
    }
  }

  #forget(id: string, { principal }: Outstanding): void {
    this.#outstanding.delete(id)
    const user = principal.user ?? ''
    const left = (this.#perUser.get(user) ?? 1) - 1
    if (left === 0) this.#perUser.delete(user)
    else this.#perUser.set(user, left)
  }
}

function dropOldest(entries: Map<string, unknown>, limit: number): void {
  const [oldest] = entries.keys()
  if (entries.size > limit && oldest !== undefined) entries.delete(oldest)
}

function invalid(detail: string): BrokerError {
  return new BrokerError('CREDENTIAL_INVALID', detail)
}
