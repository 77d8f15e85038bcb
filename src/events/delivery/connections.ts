import type { Principal } from '../../auth/principal.ts'
import { BrokerError } from '../../protocol/problem.ts'

/** An open stream of events, whatever its transport. */
export interface Connection {
  readonly principal: Principal
  /** Of the client; undefined where the transport does not tell. */
  readonly address: string | undefined
  /** Judges it by the users table now in force; `undefined` when its credential is gone. */
  judge(principal: Principal | undefined): void
  /** Once a second: positions, pings, time-outs. */
  tick(): void
  /** Tells the client to come back after `retryAfterMs` and ends. */
  drain(retryAfterMs: number): void
}

export interface Registration extends Disposable {
  /** The connection is another user's now: it was anonymous, and authenticated. */
  recount(): void
}

export interface ConnectionLimits {
  /** Of one user; anonymous counts by address only. */
  readonly perUser: number
  readonly perAddress: number
}

export interface ConnectionsDeps {
  /** The principal as of now; undefined when its credential is gone or expired. */
  renew(principal: Principal): Principal | undefined
  readonly limits: ConnectionLimits
}

const TICK_MS = 1000

/** All open connections of one broker: one timer for all of them, one place to count, judge or end them. */
export class Connections implements Disposable {
  /** Each with the keys it is counted by. */
  readonly #open = new Map<Connection, readonly string[]>()
  readonly #counts = new Map<string, number>()
  readonly #deps: ConnectionsDeps
  readonly #timer: NodeJS.Timeout

  constructor(deps: ConnectionsDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  get size(): number {
    return this.#open.size
  }

  /**
   * Asked before a connection is opened.
   *
   * @throws {BrokerError} `TOO_MANY_REQUESTS` when the user or the address has as many as it may
   */
  admit(user: string | null, address: string | undefined): void {
    const { perUser, perAddress } = this.#deps.limits
    const isFull =
      (user !== null && this.#count(userKey(user)) >= perUser) ||
      (address !== undefined && this.#count(addressKey(address)) >= perAddress)
    if (!isFull) return
    const fields = { retryAfterSeconds: 10 }
    throw new BrokerError('TOO_MANY_REQUESTS', 'too many connections are open', { fields })
  }

  /** Counts it among those that are open, until disposed. */
  add(connection: Connection): Registration {
    this.#enter(connection)
    return {
      recount: () => {
        if (this.#leave(connection)) this.#enter(connection)
      },
      [Symbol.dispose]: () => this.#leave(connection),
    }
  }

  /** After a change of the users table: what a connection may no longer do ends now. */
  judgeAll(): void {
    for (const connection of [...this.#open.keys()]) {
      connection.judge(this.#deps.renew(connection.principal))
    }
  }

  /**
   * Ends all, spread over `windowMs`, and tells each a time of its own to come back, so that a restart is
   * not followed by everybody at once.
   */
  async drain(windowMs: number): Promise<void> {
    const open = [...this.#open.keys()]
    const waits = open.map(async (connection, i) => {
      await new Promise((resolve) => setTimeout(resolve, (windowMs * i) / open.length))
      connection.drain(Math.round(500 + Math.random() * 2 * windowMs))
    })
    await Promise.all(waits)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const now = Date.now()
    for (const connection of [...this.#open.keys()]) {
      const expiresMs = connection.principal.credential?.expiresMs
      if (expiresMs !== undefined && expiresMs <= now) connection.judge(undefined)
      else connection.tick()
    }
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  #enter(connection: Connection): void {
    const { address, principal } = connection
    const keys: string[] = []
    if (principal.user !== null) keys.push(userKey(principal.user))
    if (address !== undefined) keys.push(addressKey(address))
    this.#open.set(connection, keys)
    for (const key of keys) this.#counts.set(key, this.#count(key) + 1)
  }

  #leave(connection: Connection): boolean {
    for (const key of this.#open.get(connection) ?? []) {
      const left = this.#count(key) - 1
      if (left === 0) this.#counts.delete(key)
      else this.#counts.set(key, left)
    }
    return this.#open.delete(connection)
  }
}

function userKey(user: string): string {
  return `user ${user}`
}

function addressKey(address: string): string {
  return `address ${address}`
}
