import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError, PROBLEMS, type ProblemCode, toProblem } from '../protocol/problem.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** Of the problem that was sent, for logs. */
    problemCode: ProblemCode | undefined
  }
}

export const PROBLEM_TYPE = 'application/problem+json'

/** Whatever was asked for: an answer of `/files` that is not a file must not act as a page either. */
const PROBLEM_HEADERS = { 'cache-control': 'no-store', 'content-security-policy': 'sandbox' }

/** Codes of Fastify and its plugins that a caller can cause. */
const FRAMEWORK_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_BAD_URL: 'TARGET_INVALID',
  FST_ERR_MAX_PARAM_LENGTH: 'TARGET_TOO_LONG',
  FST_ERR_VALIDATION: 'REQUEST_INVALID',
  FST_ERR_CTP_BODY_TOO_LARGE: 'TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_CTP_INVALID_JSON_BODY: 'JSON_INVALID',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'JSON_INVALID',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BODY_INCOMPLETE',
}

/** Answers with the problem of `error`: an unknown one says INTERNAL to the caller and all to the log. */
export function sendProblem(
  error: FastifyError | BrokerError,
  request: FastifyRequest,
  reply: FastifyReply,
  baseUrl: string,
): FastifyReply {
  const known = toBrokerError(error)
  if (known === undefined) {
    const fields = { event: 'http.failed', requestId: request.id, err: error }
    request.log.error(fields, 'request failed')
  }
  const problem = toProblem(known ?? error, baseUrl)
  reply.problemCode = problem.code
  if (problem.status === 401) {
    reply.header('www-authenticate', 'Bearer realm="broker", Basic realm="broker", charset="UTF-8"')
  }
  // What is left of a body that came too slowly is not waited for (RFC 9110 section 15.5.9).
  if (problem.status === 408) reply.header('connection', 'close')
  const retryAfter = problem['retryAfterSeconds']
  if (typeof retryAfter === 'number') reply.header('retry-after', String(Math.ceil(retryAfter)))
  const allow = problem['allow']
  if (Array.isArray(allow)) reply.header('allow', allow.join(', '))
  return (
    reply
      .code(problem.status)
      .headers(PROBLEM_HEADERS)
      .type(PROBLEM_TYPE)
      // Of a text the framework would say its charset, which the type has none of (RFC 9457 section 6.1).
      .send(Buffer.from(`${JSON.stringify(problem)}\n`))
  )
}

/** What a caller may know of `error`; undefined when it is none of theirs. */
function toBrokerError(error: FastifyError | BrokerError): BrokerError | undefined {
  if (error instanceof BrokerError) return error
  const code = FRAMEWORK_CODES[error.code ?? ''] ?? codeOfStatus(error.statusCode)
  return code === undefined ? undefined : new BrokerError(code, detailOf(code), { cause: error })
}

function codeOfStatus(status: number | undefined): ProblemCode | undefined {
  if (status === undefined || status < 400 || status >= 500) return undefined
  const codes = Object.keys(PROBLEMS) as ProblemCode[]
  return codes.find((code) => PROBLEMS[code].status === status) ?? 'REQUEST_INVALID'
}

function detailOf(code: ProblemCode): string {
  // Fastify has one error for both.
  if (code === 'MEDIA_TYPE_UNSUPPORTED') {
    return 'the Content-Type is no media type such as application/json, or none that is taken here'
  }
  return PROBLEMS[code].title.toLowerCase()
}
