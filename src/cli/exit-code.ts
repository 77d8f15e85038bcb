import { NetworkError } from '../client/index.ts'
import { BrokerError, PROBLEMS, type ProblemCode } from '../protocol/problem.ts'
import { Interruption, OutputClosed } from './interruption.ts'
import { UsageError } from './usage-error.ts'

export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  notFound: 4,
  conflict: 5,
  unavailable: 6,
} as const

/** Names that can only have come from the command line. */
const MALFORMED_ARGUMENTS: ReadonlySet<ProblemCode> = new Set([
  'TOPIC_INVALID',
  'FILTER_INVALID',
  'PATH_INVALID',
  'POSITION_INVALID',
])

/** The exit code of a command that ended with `error`. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OutputClosed) return EXIT_CODES.ok
  if (error instanceof Interruption) return error.exitCode
  if (error instanceof UsageError) return EXIT_CODES.usage
  if (error instanceof NetworkError) return EXIT_CODES.unavailable
  if (error instanceof DOMException && error.name === 'TimeoutError') return EXIT_CODES.unavailable
  if (error instanceof BrokerError) return exitCodeOfProblem(error.code)
  return EXIT_CODES.failed
}

function exitCodeOfProblem(code: ProblemCode): number {
  if (MALFORMED_ARGUMENTS.has(code)) return EXIT_CODES.usage
  if (code === 'DIGEST_MISMATCH') return EXIT_CODES.conflict
  const { status, retry } = PROBLEMS[code]
  switch (status) {
    case 401:
    case 403:
      return EXIT_CODES.denied
    case 404:
      return EXIT_CODES.notFound
    case 409:
    case 412:
    case 428:
      return EXIT_CODES.conflict
    default:
      return retry === 'backoff' ? EXIT_CODES.unavailable : EXIT_CODES.failed
  }
}
