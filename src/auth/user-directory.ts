import { Buffer } from 'node:buffer'
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { BrokerError } from '../protocol/problem.ts'
import { addressSource } from './credentials/address-source.ts'
import type { AdministratorToken } from './credentials/admin-token.ts'
import type { FailureThrottle } from './credentials/failure-throttle.ts'
import type { LastUses } from './credentials/last-uses.ts'
import { tokenHash } from './credentials/tokens.ts'
import type { CredentialReference, Identities, Principal } from './principal.ts'
import { CompiledRights } from './rights/compiled-rights.ts'
import { ADMIN_TOKEN_GRANTS } from './rights/grants.ts'
import type { OwnedCredential, UsersTable } from './rights/users-table.ts'
import { ISSUED_SECONDS, IssuedTokens } from './workload/issued-tokens.ts'

export interface UserDirectoryDeps {
  readonly adminToken: AdministratorToken
  readonly throttle: FailureThrottle
  readonly lastUses: Pick<LastUses, 'mark'>
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What a principal was made from, to make it anew from another table. */
interface Binding {
  /** Undefined for the administrator token. */
  readonly credential: OwnedCredential | undefined
  /** Of the administrator token: a new token in the file is another credential. */
  readonly adminHash?: string
  /** What the principal shows instead of the credential itself: a ticket or a token drawn on it. */
  readonly reference?: CredentialReference
}

/** A token that stands for a rule of the users file for a while. */
export interface IssuedToken {
  readonly secret: string
  readonly user: string
  /** Names it in logs. */
  readonly id: string
  readonly issuedMs: number
  readonly expiresMs: number
}

/** The name of the principal that the administrator token authenticates. */
const ADMIN_USER = 'admin'
const ADMIN_RIGHTS = new CompiledRights(ADMIN_TOKEN_GRANTS)

/**
 * Who is who as of the users table in force, and the one place where the table is changed: whole, in one
 * turn, after which every listener judges its connections anew with `renew`.
 */
export class UserDirectory implements Identities {
  readonly #deps: UserDirectoryDeps
  readonly #bindings = new WeakMap<Principal, Binding>()
  readonly #listeners = new Set<() => void>()
  readonly #issued: IssuedTokens
  #table: UsersTable
  /** One principal per credential of the table in force. */
  #principals = new WeakMap<OwnedCredential, Principal>()
  #anonymous: Principal

  constructor(table: UsersTable, deps: UserDirectoryDeps) {
    this.#table = table
    this.#anonymous = anonymousOf(table)
    this.#deps = deps
    this.#issued = new IssuedTokens(deps.now)
    deps.adminToken.onChange(() => this.#announce())
  }

  get table(): UsersTable {
    return this.#table
  }

  /** Puts another table in force and tells the listeners. */
  swap(table: UsersTable): void {
    this.#table = table
    this.#principals = new WeakMap()
    this.#anonymous = anonymousOf(table)
    // A rule that comes back later brings no token back.
    this.#issued.retain((principal) => this.renew(principal) !== undefined)
    this.#announce()
  }

  /**
   * @param listener - called after each change of the table or of the administrator token
   * @returns ends the listening when disposed
   */
  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  authenticate(secret: string, from: string): Principal {
    const hash = tokenHash(secret)
    const source = addressSource(from)
    this.#deps.throttle.check(source, hash)
    try {
      const principal = this.#marked(this.#byTokenHash(hash))
      this.#deps.throttle.succeeded(source, hash)
      return principal
    } catch (error) {
      this.#deps.throttle.failed(source, hash)
      throw error
    }
  }

  /**
   * A client certificate that the TLS end point verified: whoever shows it holds its key, so that there is
   * nothing to guess.
   *
   * @param sha256 - of the DER, in lower-case hex
   * @throws {BrokerError} `CREDENTIAL_INVALID`
   */
  authenticateCertificate(sha256: string): Principal {
    return this.#marked(this.#byListed('certificate', sha256))
  }

  /**
   * A CURVE key whose holder completed the handshake.
   *
   * @param publicKey - Z85, 40 characters
   * @throws {BrokerError} `CREDENTIAL_INVALID`
   */
  authenticateCurveKey(publicKey: string): Principal {
    return this.#marked(this.#byListed('curve-key', publicKey))
  }

  anonymous(): Principal {
    return this.#anonymous
  }

  renew(principal: Principal): Principal | undefined {
    if (principal.user === null) return this.#anonymous
    const binding = this.#bindings.get(principal)
    if (binding === undefined) return undefined
    const now = this.#current(binding)
    const { reference } = binding
    if (now === undefined || reference === undefined) return now
    return this.isExpired(reference)
      ? undefined
      : this.#bind({ ...now, credential: reference }, binding)
  }

  /** The roles that the users file gives; none for the administrator token, which needs no file. */
  rolesOf(principal: Principal): readonly string[] {
    if (principal.user === null) return this.#table.file.anonymousRoles
    if (principal.rights === ADMIN_RIGHTS) return []
    return this.#table.user(principal.user)?.roles ?? []
  }

  /** The same user by way of a ticket: renewed and refused together with the credential it was drawn on. */
  byTicket(principal: Principal, ticketId: string): Principal {
    const binding = this.#bindings.get(principal)
    if (binding === undefined) throw new Error('a ticket needs a principal of this directory')
    const expiresMs = principal.credential?.expiresMs
    const expires = expiresMs === undefined ? {} : { expiresMs }
    const reference = { kind: 'ticket', id: ticketId, ...expires } as const
    return this.#bind({ ...principal, credential: reference }, { ...binding, reference })
  }

  /**
   * A token for what a rule of kind oidc means; gone with the rule, and after 15 minutes.
   *
   * @returns undefined when the rule is no longer in force
   * @throws {BrokerError} `TOO_MANY_REQUESTS`
   */
  issue(rule: OwnedCredential): IssuedToken | undefined {
    const principal = this.#current({ credential: rule })
    if (principal === undefined) return undefined
    const issuedMs = this.#deps.now()
    const expiresMs = Math.min(issuedMs + ISSUED_SECONDS * 1000, rule.expiresMs ?? Infinity)
    const id = randomBytes(8).toString('hex')
    const reference = { kind: 'oidc', id, expiresMs } as const
    const binding = { credential: rule, reference }
    const secret = this.#issued.issue(this.#bind({ ...principal, credential: reference }, binding))
    return { secret, user: rule.user, id, issuedMs, expiresMs }
  }

  isExpired({ expiresMs = Infinity }: { readonly expiresMs?: number }): boolean {
    return expiresMs <= this.#deps.now()
  }

  /** Only a login is a use: a principal that is made anew after a change of the table is none. */
  #marked(principal: Principal): Principal {
    const credential = this.#bindings.get(principal)?.credential
    if (credential !== undefined) this.#deps.lastUses.mark(credential)
    return principal
  }

  #byTokenHash(hash: string): Principal {
    const listed = this.#table.credential('token', hash)
    if (listed !== undefined) return this.#principalOf(listed)
    const issued = this.#issued.principal(hash)
    const renewed = issued && this.renew(issued)
    if (renewed !== undefined) return renewed
    // Last, since it is a look at the disk.
    const admin = this.#deps.adminToken.hash()
    if (admin !== undefined && isSameHash(admin, hash)) return this.#administrator(hash)
    throw new BrokerError('CREDENTIAL_INVALID', 'the token is not known')
  }

  #byListed(kind: 'certificate' | 'curve-key', value: string): Principal {
    const listed = this.#table.credential(kind, value)
    if (listed !== undefined) return this.#principalOf(listed)
    throw new BrokerError('CREDENTIAL_INVALID', `the ${kind} belongs to no user`)
  }

  #principalOf(listed: OwnedCredential): Principal {
    if (this.isExpired(listed)) {
      throw new BrokerError('CREDENTIAL_INVALID', `the ${listed.kind} has expired`)
    }
    const known = this.#principals.get(listed)
    if (known !== undefined) return known
    const rights = this.#table.rightsOf(listed.user)
    if (rights === undefined)
      throw new Error('a credential of the table belongs to none of its users')
    const expires = listed.expiresMs === undefined ? {} : { expiresMs: listed.expiresMs }
    const credential = { kind: listed.kind, id: listed.id, ...expires }
    const principal = { user: listed.user, rights, credential }
    this.#principals.set(listed, principal)
    return this.#bind(principal, { credential: listed })
  }

  #administrator(hash: string): Principal {
    const credential = { kind: 'token', id: 'admin.token' } as const
    const principal = { user: ADMIN_USER, rights: ADMIN_RIGHTS, credential }
    return this.#bind(principal, { credential: undefined, adminHash: hash })
  }

  #current(binding: Binding): Principal | undefined {
    const { credential: before, adminHash } = binding
    if (before === undefined) {
      const isThere = adminHash !== undefined && this.#deps.adminToken.hash() === adminHash
      return isThere ? this.#administrator(adminHash) : undefined
    }
    const listed = this.#table.credential(before.kind, before.value)
    const isGone = listed?.user !== before.user || this.isExpired(listed)
    return isGone ? undefined : this.#principalOf(listed)
  }

  #bind(principal: Principal, binding: Binding): Principal {
    this.#bindings.set(principal, binding)
    return principal
  }

  #announce(): void {
    const failures: unknown[] = []
    for (const listener of [...this.#listeners]) {
      // One that fails must not keep the others from closing what is no longer allowed.
      try {
        listener()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, 'a listener to a change of the users failed')
    }
  }
}

function anonymousOf(table: UsersTable): Principal {
  return { user: null, rights: table.anonymousRights, credential: null }
}

/** The map of the table finds a hash in a time that tells nothing of a secret; this must not either. */
function isSameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
