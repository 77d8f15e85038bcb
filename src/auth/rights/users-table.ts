import { USER_VARIABLE } from '../users-file/grant-pattern.ts'
import type { GrantRule, ListedCredential, UserRule, UsersFile } from '../users-file/users-file.ts'
import { CompiledRights } from './compiled-rights.ts'
import { grantsFor } from './grants.ts'

/** A credential and whose it is. */
export interface OwnedCredential extends ListedCredential {
  readonly user: string
}

/**
 * A users file made ready for lookups. Immutable as seen from outside: a change of the file is another
 * table, swapped in whole. Rights are compiled when a user first needs them, and users with the same roles
 * and nothing of their own share one object.
 */
export class UsersTable {
  readonly file: UsersFile
  readonly #users: ReadonlyMap<string, UserRule>
  readonly #roles: ReadonlyMap<string, readonly GrantRule[]>
  readonly #credentials: ReadonlyMap<string, OwnedCredential>
  readonly #workloads: ReadonlyMap<string, readonly OwnedCredential[]>
  readonly #rights = new Map<string, CompiledRights>()
  readonly #sharedRights = new Map<string, CompiledRights>()
  readonly #anonymousRights: CompiledRights

  constructor(file: UsersFile) {
    this.file = file
    this.#users = new Map(file.users.map((user) => [user.name, user]))
    this.#roles = new Map(file.roles.map((role) => [role.name, role.grants]))
    const credentials = new Map<string, OwnedCredential>()
    for (const user of file.users) {
      for (const one of user.credentials) {
        credentials.set(keyOf(one.kind, one.value), { ...one, user: user.name })
      }
    }
    this.#credentials = credentials
    this.#workloads = Map.groupBy(
      credentials.values().filter(({ kind }) => kind === 'oidc'),
      ({ workload }) => workload?.issuer ?? '',
    )
    this.#anonymousRights = this.#compile(null, file.anonymousRoles, [])
  }

  /** A table without users, in force until the first file is read. */
  static empty(): UsersTable {
    return new UsersTable({ roles: [], users: [], anonymousRoles: [] })
  }

  /**
   * @param value - SHA-256 in lower-case hex of a token or a certificate's DER, or the Z85 of a CURVE key
   * @returns the credential, expired or not
   */
  credential(kind: ListedCredential['kind'], value: string): OwnedCredential | undefined {
    return this.#credentials.get(keyOf(kind, value))
  }

  /** The rules of kind oidc for an issuer, expired ones too, in the order of the file. */
  workloadsOf(issuer: string): readonly OwnedCredential[] {
    return this.#workloads.get(issuer) ?? []
  }

  user(name: string): UserRule | undefined {
    return this.#users.get(name)
  }

  /** Rights of a user, or undefined for an unknown one. */
  rightsOf(name: string): CompiledRights | undefined {
    const known = this.#rights.get(name)
    const user = this.#users.get(name)
    if (known !== undefined || user === undefined) return known
    const rights = this.#compile(name, user.roles, user.grants)
    this.#rights.set(name, rights)
    return rights
  }

  get anonymousRights(): CompiledRights {
    return this.#anonymousRights
  }

  /** Grants of roles that name no user are compiled once for all who have the same roles. */
  #compile(
    user: string | null,
    roles: readonly string[],
    own: readonly GrantRule[],
  ): CompiledRights {
    const shared = this.#shared(roles)
    const ofRoles = roles.flatMap((name) => {
      const rules = (this.#roles.get(name) ?? []).filter(namesUser)
      return grantsFor(user, { kind: 'role', name }, rules)
    })
    const ofUser = user === null ? [] : grantsFor(user, { kind: 'user', name: user }, own)
    const personal = [...ofRoles, ...ofUser]
    return personal.length === 0 ? shared : new CompiledRights(personal, shared)
  }

  #shared(roles: readonly string[]): CompiledRights {
    const key = roles.toSorted().join(' ')
    const known = this.#sharedRights.get(key)
    if (known !== undefined) return known
    const grants = roles.flatMap((name) => {
      const rules = (this.#roles.get(name) ?? []).filter((rule) => !namesUser(rule))
      return grantsFor(null, { kind: 'role', name }, rules)
    })
    const rights = new CompiledRights(grants)
    this.#sharedRights.set(key, rights)
    return rights
  }
}

function namesUser({ pattern }: GrantRule): boolean {
  return pattern.includes(USER_VARIABLE)
}

function keyOf(kind: ListedCredential['kind'], value: string): string {
  return `${kind} ${value}`
}
