import { BrokerError } from '../protocol/problem.ts'
import type { Principal } from './principal.ts'

/**
 * Lets through whoever may do what concerns the broker as a whole.
 *
 * @throws {BrokerError} `UNAUTHENTICATED`, `FORBIDDEN` with `missing`
 */
export function requireGrant({ user, rights }: Principal, action: 'administer' | 'observe'): void {
  if (rights.may(action)) return
  const fields = { missing: action }
  if (user !== null) throw new BrokerError('FORBIDDEN', `no grant to ${action}`, { fields })
  throw new BrokerError('UNAUTHENTICATED', `this is for those who may ${action}`, { fields })
}
