import type { Action } from '../principal.ts'
import type { WorkloadRule } from '../workload/workload-rule.ts'

/** What a grant speaks of: topics, paths, or the broker itself. */
export type GrantKind = 'topics' | 'files' | 'broker'

/** One `<allow>` or `<deny>` as written; `pattern` may hold `${user}`, and is `''` for the broker. */
export interface GrantRule {
  readonly effect: 'allow' | 'deny'
  readonly actions: readonly Action[]
  readonly kind: GrantKind
  readonly pattern: string
  /** Line of the users file, from 1. */
  readonly line: number
}

/** A credential that the file lists: never a secret, only what one is recognised by. */
export interface ListedCredential {
  readonly kind: 'token' | 'certificate' | 'curve-key' | 'oidc'
  /** Names it in logs: the id of a token, else the same as `value`. */
  readonly id: string
  /** SHA-256 in lower-case hex (of the token, of the DER, of an oidc rule), or the Z85 text of a CURVE key. */
  readonly value: string
  /** Of kind oidc, and of it alone. */
  readonly workload?: WorkloadRule
  /** Milliseconds since the epoch after which it is refused. */
  readonly expiresMs?: number
  readonly note?: string
}

export interface RoleRule {
  readonly name: string
  readonly grants: readonly GrantRule[]
}

export interface UserRule {
  readonly name: string
  readonly roles: readonly string[]
  readonly credentials: readonly ListedCredential[]
  readonly grants: readonly GrantRule[]
}

/**
 * A users file that holds to every rule: names are unique, roles are known, patterns are well formed.
 * Plain data in the order of the file, so that it can come from another thread.
 */
export interface UsersFile {
  readonly roles: readonly RoleRule[]
  readonly users: readonly UserRule[]
  readonly anonymousRoles: readonly string[]
}
