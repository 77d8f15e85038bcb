import { randomBytes } from 'node:crypto'
import type { AdministratorToken } from '../../src/auth/credentials/admin-token.ts'
import { FailureThrottle } from '../../src/auth/credentials/failure-throttle.ts'
import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { Tickets } from '../../src/auth/tickets/tickets.ts'
import { UserDirectory } from '../../src/auth/user-directory.ts'
import { NOW_MS, tableOf, USERS_XML } from './users-fixture.ts'

export const ADMIN_SECRET = 'dbk_theadministratortokenofthisbroker00'

/** An administrator token in memory, as `AdminTokenFile` has it on disk. */
export class MemoryAdminToken implements AdministratorToken {
  #secret: string | undefined = ADMIN_SECRET
  readonly #listeners = new Set<() => void>()

  hash(): string | undefined {
    return this.#secret === undefined ? undefined : tokenHash(this.#secret)
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  set(secret: string | undefined): void {
    this.#secret = secret
    for (const listener of this.#listeners) listener()
  }
}

/** Times in memory, as `LastUses` has them. */
class MemoryLastUses {
  readonly #times = new Map<string, number>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  mark({ value }: { readonly value: string }): void {
    this.#times.set(value, this.#now())
  }

  of({ value }: { readonly value: string }): number | undefined {
    return this.#times.get(value)
  }
}

/** A directory over the users of the fixture, with a clock that the test moves. */
export function identityFixture(text: string = USERS_XML) {
  const clock = { ms: NOW_MS }
  const now = () => clock.ms
  const throttle = new FailureThrottle({ now })
  const adminToken = new MemoryAdminToken()
  const lastUses = new MemoryLastUses(now)
  const directory = new UserDirectory(tableOf(text), { adminToken, throttle, lastUses, now })
  const key = randomBytes(32)
  const tickets = new Tickets({ key, directory, throttle, now })
  return { clock, now, throttle, adminToken, directory, key, tickets, lastUses }
}
