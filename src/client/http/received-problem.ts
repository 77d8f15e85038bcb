import {
  BrokerError,
  isProblemCode,
  PROBLEMS,
  type ProblemCode,
  type ProblemFields,
} from '../../protocol/problem.ts'
import { parseRetryAfter } from './retry-after.ts'

const STANDARD_MEMBERS = new Set(['type', 'title', 'status', 'code', 'detail'])

/**
 * The error that an answer with a status of 400 or more tells. What is not a problem of the broker (the
 * page of a proxy, an answer to HEAD, a code that this version does not know) gets a code by its status.
 *
 * @returns with the fields of the problem, `retryAfterMs` when the answer says so, and `httpStatus` when
 *   it was no problem of the broker
 */
export async function problemOfResponse(response: Response): Promise<BrokerError> {
  const body = await jsonOf(response)
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'))
  return problemOf(body, response.status, {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(!(isRecord(body) && 'code' in body) && { httpStatus: response.status }),
  })
}

/**
 * @param problem - problem JSON as received, or anything else
 * @param status - the HTTP status it came with, if any
 * @param more - added to the fields
 */
export function problemOf(
  problem: unknown,
  status?: number,
  more: ProblemFields = {},
): BrokerError {
  const members = isRecord(problem) ? problem : {}
  const { code, detail, title } = members
  const known = isProblemCode(code) ? code : codeOfStatus(status ?? Number(members['status']))
  const text = [detail, title].find((member) => typeof member === 'string' && member !== '')
  const fields = Object.entries(members).filter(([name]) => !STANDARD_MEMBERS.has(name))
  return new BrokerError(known, typeof text === 'string' ? text : plainDetail(known, status), {
    fields: {
      ...Object.fromEntries(fields),
      ...(code !== known && code !== undefined && { receivedCode: code }),
      ...more,
    },
  })
}

function plainDetail(code: ProblemCode, status: number | undefined): string {
  const title = PROBLEMS[code].title.toLowerCase()
  return status === undefined ? title : `${title} (HTTP ${status})`
}

function codeOfStatus(status: number): ProblemCode {
  const codes = Object.keys(PROBLEMS).filter(isProblemCode)
  const same = codes.find((code) => PROBLEMS[code].status === status)
  if (same !== undefined) return same
  // 502 and 504 are a proxy's words for a broker that is not there.
  if (status === 502 || status === 504) return 'UNAVAILABLE'
  return status >= 400 && status < 500 ? 'REQUEST_INVALID' : 'INTERNAL'
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch {
    return undefined
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
