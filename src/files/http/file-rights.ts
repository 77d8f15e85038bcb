import type { FileAction, Principal } from '../../auth/principal.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { DeleteGuard, KnownFile, WriteGuard } from '../store/file-store.ts'
import { type Conditions, requireConditions } from './conditions.ts'

/** Asks a principal's rights about files, and words its refusals as they may be worded. */

/**
 * @throws {BrokerError} `UNAUTHENTICATED` for anonymous; `FORBIDDEN`, or `NOT_FOUND` when it may not even
 *   be known that there is such a file
 */
export function requireRight(
  principal: Principal,
  action: 'list' | 'read' | 'delete',
  path: FilePath,
): void {
  const { rights } = principal
  if (rights.may(action, path)) return
  const isKnown = principal.user === null || rights.may('list', path)
  throw isKnown ? refusal(principal, action) : noSuchFile()
}

/** True when a listing of the directory may show anything. */
export function mayListDirectory({ rights }: Principal, directory: FilePath | ''): boolean {
  return rights.overlaps('list', directory === '' ? '**' : `${directory}/**`)
}

/**
 * Which of the two is needed depends on what is there, which not everybody may know.
 *
 * @throws {BrokerError} `UNAUTHENTICATED`, `FORBIDDEN` when no upload there could be accepted
 */
export function requireUploadRight(principal: Principal, path: FilePath): void {
  const { rights } = principal
  if (rights.may('create', path) || rights.may('replace', path)) return
  throw refusal(principal, 'create', 'replace')
}

/**
 * What an upload needs: `create` for a new file, `replace` for another content, either for the same
 * content again, so that a retry after a lost reply succeeds. Then its conditions.
 */
export function writeGuard(principal: () => Principal, conditions: Conditions): WriteGuard {
  return (current, next) => {
    requireWrite(principal(), current, next.path, next.sha256)
    requireConditions(conditions, current)
  }
}

/** What `writeGuard` would refuse whatever the content is, before the body is read. */
export function requireAdmissible(
  principal: Principal,
  conditions: Conditions,
  path: FilePath,
  current: KnownFile | undefined,
): void {
  requireWrite(principal, current, path, current?.sha256)
  requireConditions(conditions, current)
}

export function deleteGuard(principal: () => Principal, conditions: Conditions): DeleteGuard {
  return (current) => {
    requireRight(principal(), 'delete', current.path)
    requireConditions(conditions, current)
  }
}

export function noSuchFile(): BrokerError {
  return new BrokerError('NOT_FOUND', 'there is no such file')
}

function requireWrite(
  principal: Principal,
  current: KnownFile | undefined,
  path: FilePath,
  sha256: string | undefined,
): void {
  const { rights } = principal
  const isSame = current !== undefined && current.sha256 === sha256
  const action = current === undefined ? 'create' : 'replace'
  if (rights.may(action, path) || (isSame && rights.may('create', path))) return
  throw refusal(principal, action)
}

/** @param missing - what is needed, or the actions of which one is */
/** @param missing - any of them would do; a program is told the first */
export function refusal(principal: Principal, ...missing: readonly FileAction[]): BrokerError {
  const words = missing.join(' or ')
  return principal.user === null
    ? new BrokerError('UNAUTHENTICATED', `a credential is needed to ${words} here`)
    : new BrokerError('FORBIDDEN', `the right to ${words} here is missing`, {
        fields: { missing: missing[0] },
      })
}
