import { BrokerError } from '../../protocol/problem.ts'
import {
  matchesStrongly,
  matchesWeakly,
  parseTagCondition,
  type TagCondition,
} from '../store/entity-tag.ts'
import { parseHttpDate } from './http-date.ts'

/** The conditions of a request, each as far as its field could be read. */
export interface Conditions {
  readonly ifMatch?: TagCondition
  readonly ifNoneMatch?: TagCondition
  /** Milliseconds since the epoch, whole seconds. */
  readonly ifModifiedSince?: number
  readonly ifUnmodifiedSince?: number
}

/** What conditions are compared with. */
export interface Validators {
  /** Undefined while the content is not yet known by its digest. */
  readonly etag: string | undefined
  readonly modifiedMs: number
}

export type ConditionOutcome = 'proceed' | 'not-modified' | 'failed'

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * @param fields - of the request, names in lower case
 * @throws {BrokerError} `REQUEST_INVALID` for a list of tags that cannot be read: to ignore it would
 *   carry out a write that was meant to be conditional
 */
export function parseConditions(fields: Fields): Conditions {
  const ifMatch = tagsOf(fields, 'if-match')
  const ifNoneMatch = tagsOf(fields, 'if-none-match')
  const ifModifiedSince = dateOf(fields, 'if-modified-since')
  const ifUnmodifiedSince = dateOf(fields, 'if-unmodified-since')
  return {
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
    ...(ifModifiedSince !== undefined && { ifModifiedSince }),
    ...(ifUnmodifiedSince !== undefined && { ifUnmodifiedSince }),
  }
}

export function hasConditions(conditions: Conditions): boolean {
  return Object.keys(conditions).length > 0
}

/**
 * The precedence of RFC 9110 section 13.2.2, steps 1 to 4. Conditions by tag on a file whose digest is
 * not known yet fail: neither answer could be promised.
 *
 * @param current - undefined when there is no such file
 * @param reads - true for GET and HEAD
 */
export function evaluateConditions(
  conditions: Conditions,
  current: Validators | undefined,
  reads: boolean,
): ConditionOutcome {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  const byTag = ifMatch !== undefined || ifNoneMatch !== undefined
  if (current !== undefined && current.etag === undefined && byTag) return 'failed'
  if (ifMatch !== undefined) {
    if (current?.etag === undefined || !matchesStrongly(ifMatch, current.etag)) return 'failed'
  } else if (ifUnmodifiedSince !== undefined && current !== undefined) {
    if (wholeSeconds(current.modifiedMs) > ifUnmodifiedSince) return 'failed'
  }
  if (ifNoneMatch !== undefined) {
    const matches = current?.etag !== undefined && matchesWeakly(ifNoneMatch, current.etag)
    if (matches) return reads ? 'not-modified' : 'failed'
  } else if (reads && ifModifiedSince !== undefined && current !== undefined) {
    if (wholeSeconds(current.modifiedMs) <= ifModifiedSince) return 'not-modified'
  }
  return 'proceed'
}

/** @throws {BrokerError} `PRECONDITION_FAILED` */
export function requireConditions(conditions: Conditions, current: Validators | undefined): void {
  if (evaluateConditions(conditions, current, false) !== 'proceed') throw conditionFailed(current)
}

/**
 * For paths whose writes must say what they expect to find. `If-Modified-Since` says nothing about a write.
 *
 * @throws {BrokerError} `PRECONDITION_REQUIRED`
 */
export function requireStated({ ifMatch, ifNoneMatch, ifUnmodifiedSince }: Conditions): void {
  const isStated = [ifMatch, ifNoneMatch, ifUnmodifiedSince].some((each) => each !== undefined)
  if (isStated) return
  const detail = 'here a write or delete needs If-Match, If-None-Match or If-Unmodified-Since'
  throw new BrokerError('PRECONDITION_REQUIRED', detail)
}

export function conditionFailed(current: Validators | undefined): BrokerError {
  const detail =
    current === undefined ? 'there is no such file' : 'the file is not in the state that was named'
  const fields = current?.etag === undefined ? {} : { etag: current.etag }
  return new BrokerError('PRECONDITION_FAILED', detail, { fields })
}

function tagsOf(fields: Fields, name: string): TagCondition | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  const parsed = parseTagCondition(typeof value === 'string' ? value : value.join(','))
  if (!parsed.ok) throw new BrokerError('REQUEST_INVALID', `${name}: ${parsed.error}`)
  return parsed.value
}

function dateOf(fields: Fields, name: string): number | undefined {
  const value = fields[name]
  return typeof value === 'string' ? parseHttpDate(value) : undefined
}

function wholeSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000
}
