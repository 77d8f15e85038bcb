import type { Action } from '../principal.ts'
import { patternFor } from '../users-file/grant-pattern.ts'
import type { GrantKind, GrantRule } from '../users-file/users-file.ts'

/** A grant as it holds for one principal. */
export interface Grant {
  readonly effect: 'allow' | 'deny'
  readonly actions: readonly Action[]
  readonly kind: GrantKind
  /** A topic filter or the same over paths, `${user}` filled in; `''` for the broker. */
  readonly pattern: string
  /** Whose grant it is; `built-in` are those of the administrator token. */
  readonly source: { readonly kind: 'role' | 'user' | 'built-in'; readonly name: string }
  /** Line of the users file; 0 for a built-in one. */
  readonly line: number
}

/** The rules as they hold for `user`, or for anonymous (`null`), to whom no rule with `${user}` applies. */
export function grantsFor(
  user: string | null,
  source: Grant['source'],
  rules: readonly GrantRule[],
): readonly Grant[] {
  return rules.flatMap((rule) => {
    const pattern = patternFor(user, rule.pattern)
    return pattern === undefined ? [] : [{ ...rule, pattern, source }]
  })
}

const BUILT_IN = { kind: 'built-in', name: 'admin.token' } as const

/** What the administrator token may do: everything. */
export const ADMIN_TOKEN_GRANTS: readonly Grant[] = [
  {
    effect: 'allow',
    actions: ['publish', 'subscribe'],
    kind: 'topics',
    pattern: '**',
    source: BUILT_IN,
    line: 0,
  },
  {
    effect: 'allow',
    actions: ['list', 'read', 'create', 'replace', 'delete'],
    kind: 'files',
    pattern: '**',
    source: BUILT_IN,
    line: 0,
  },
  {
    effect: 'allow',
    actions: ['administer', 'observe'],
    kind: 'broker',
    pattern: '',
    source: BUILT_IN,
    line: 0,
  },
]
