import { BrokerError, type ProblemCode, toProblem } from '../../protocol/problem.ts'

/** A failure that Nginx itself answers, in the form and with the codes of the broker. */
interface FrontProblem {
  readonly code: ProblemCode
  /** Statuses of Nginx that become this one: 494 to 497 are its own, for headers and TLS. */
  readonly statuses: readonly number[]
  readonly detail: string
  readonly retryAfterSeconds?: number
  /** What it is when the variable is not empty: Nginx has one status for both. */
  readonly unless?: {
    readonly variable: string
    readonly code: ProblemCode
    readonly detail: string
  }
}

const FRONT_PROBLEMS: readonly FrontProblem[] = [
  {
    code: 'REQUEST_INVALID',
    statuses: [400, 495, 496, 497, 501],
    detail: 'the request could not be read, or its client certificate is not accepted',
    unless: {
      variable: '$broker_unread_target',
      code: 'TARGET_INVALID',
      detail: 'the URL holds a malformed percent escape, a NUL or too many ..',
    },
  },
  { code: 'NOT_FOUND', statuses: [404], detail: 'nothing is here' },
  { code: 'METHOD_NOT_ALLOWED', statuses: [405], detail: 'this method is not served' },
  { code: 'REQUEST_TIMEOUT', statuses: [408], detail: 'the request did not arrive in time' },
  { code: 'PRECONDITION_FAILED', statuses: [412], detail: 'the file is not the one asked for' },
  { code: 'TOO_LARGE', statuses: [413], detail: 'the body is larger than what is accepted here' },
  { code: 'TARGET_TOO_LONG', statuses: [414], detail: 'the URL is too long' },
  { code: 'RANGE_NOT_SATISFIABLE', statuses: [416], detail: 'the range is outside the file' },
  {
    code: 'TOO_MANY_REQUESTS',
    statuses: [429],
    detail: 'too many connections or attempts from this address',
    retryAfterSeconds: 1,
  },
  { code: 'HEADERS_TOO_LARGE', statuses: [494], detail: 'the header fields are too large' },
  { code: 'INTERNAL', statuses: [500], detail: 'something went wrong' },
  {
    code: 'UNAVAILABLE',
    statuses: [502, 503, 504],
    detail: 'the broker does not answer',
    retryAfterSeconds: 1,
  },
]

/** Of whatever Nginx says itself: the broker sets the same on its own answers. */
export const OWN_HEADERS = `    add_header Cache-Control no-store always;
    add_header X-Request-Id $request_id always;
    add_header X-Content-Type-Options nosniff always;
    add_header Content-Security-Policy sandbox always;
    add_header Referrer-Policy no-referrer always;
    add_header Strict-Transport-Security $broker_transport_security always;`

/** `error_page` lines: what Nginx would answer in HTML becomes a problem. */
export function renderErrorPages(): string {
  const lines = FRONT_PROBLEMS.map(({ code, statuses }) => {
    const { status } = problemOf(code)
    return `error_page ${statuses.join(' ')} =${status} /-/problem/${status};`
  })
  return `# What Nginx itself refuses is answered like a refusal of the broker. Included wherever a location has an
# error_page of its own, since then it inherits none.

${lines.join('\n')}
`
}

/**
 * The locations that `renderErrorPages` leads to. A refusal of another kind must not become a 413 here because
 * of the body that came with it.
 */
export function renderProblemLocations(publicUrl: string): string {
  return FRONT_PROBLEMS.map((problem) => renderLocation(problem, publicUrl)).join('\n')
}

/** A `return` of the problem; `detail` is for people and without quotes. */
export function renderReturn(code: ProblemCode, detail: string, publicUrl: string): string {
  const problem = JSON.stringify(toProblem(new BrokerError(code, detail), publicUrl))
  return `return ${problemOf(code).status} '${problem}';`
}

function renderLocation(problem: FrontProblem, publicUrl: string): string {
  const { code, detail, retryAfterSeconds, unless } = problem
  const { status } = problemOf(code)
  const retryAfter =
    retryAfterSeconds === undefined
      ? ''
      : `    add_header Retry-After ${retryAfterSeconds} always;\n`
  const other =
    unless === undefined
      ? ''
      : `    if (${unless.variable}) { ${renderReturn(unless.code, unless.detail, publicUrl)} }\n`
  return `location = /-/problem/${status} {
    internal;
    # The request that led here keeps its body, which is no longer wanted and no longer too large.
    client_max_body_size 0;
    default_type application/problem+json;
${OWN_HEADERS}
${retryAfter}${other}    ${renderReturn(code, detail, publicUrl)}
}
`
}

function problemOf(code: ProblemCode) {
  return toProblem(new BrokerError(code, ''))
}
