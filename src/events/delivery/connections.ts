import type { Principal } from '../../auth/principal.ts'

/** An open stream of events, whatever its transport. */
export interface Connection {
  readonly principal: Principal
  /** Judges it by the users table now in force; `undefined` when its credential is gone. */
  judge(principal: Principal | undefined): void
  /** Once a second: positions, pings, time-outs. */
  tick(): void
  /** Tells the client to come back after `retryAfterMs` and ends. */
  drain(retryAfterMs: number): void
}

const TICK_MS = 1000

/** All open connections of one broker: one timer for all of them, one place to judge or end them. */
export class Connections implements Disposable {
  readonly #open = new Set<Connection>()
  readonly #renew: (principal: Principal) => Principal | undefined
  readonly #beforeTick: () => void
  readonly #timer: NodeJS.Timeout

  /**
   * @param renew - the principal as of now; undefined when its credential is gone or expired
   * @param beforeTick - brings the live streams to the head of the log
   */
  constructor(renew: (principal: Principal) => Principal | undefined, beforeTick: () => void) {
    this.#renew = renew
    this.#beforeTick = beforeTick
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  get size(): number {
    return this.#open.size
  }

  add(connection: Connection): Disposable {
    this.#open.add(connection)
    return { [Symbol.dispose]: () => this.#open.delete(connection) }
  }

  /** After a change of the users table: what a connection may no longer do ends now. */
  judgeAll(): void {
    for (const connection of [...this.#open]) connection.judge(this.#renew(connection.principal))
  }

  /**
   * Ends all, spread over `windowMs`, and tells each a time of its own to come back, so that a restart is
   * not followed by everybody at once.
   */
  async drain(windowMs: number): Promise<void> {
    const open = [...this.#open]
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
    this.#beforeTick()
    const now = Date.now()
    for (const connection of [...this.#open]) {
      const expiresMs = connection.principal.credential?.expiresMs
      if (expiresMs !== undefined && expiresMs <= now) connection.judge(undefined)
      else connection.tick()
    }
  }
}
