import type { Principal, Rights } from '../../src/auth/principal.ts'
import {
  patternCovers,
  patternMatches,
  patternsOverlap,
} from '../../src/protocol/segment-pattern.ts'

/** Rights to do everything below one pattern, for tests that are not about rights. */
export function rightsTo(pattern: string): Rights {
  return {
    may: (_action: string, resource: unknown = '') => patternMatches(pattern, String(resource)),
    overlaps: (_action, filter) => patternsOverlap(pattern, filter),
    covers: (_action, filter) => patternCovers(pattern, filter),
  }
}

export const NOBODY: Rights = { may: () => false, overlaps: () => false, covers: () => false }

export function userWith(rights: Rights, user = 'tester'): Principal {
  return { user, rights, credential: { kind: 'token', id: `${user}-1` } }
}

/** Who may do everything. */
export const ROOT: Principal = userWith(rightsTo('**'), 'root')

export const ANONYMOUS: Principal = { user: null, rights: NOBODY, credential: null }
