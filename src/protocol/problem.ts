/** What a caller may do about a failure: nothing, read the present state first, or try again later. */
export type Retry = 'never' | 'after-refresh' | 'backoff'

export interface ProblemSpec {
  readonly status: number
  readonly title: string
  readonly retry: Retry
}

/**
 * Every failure that a caller can see, by its stable code. A retired code is never given a new meaning.
 * `docs/problems.md` has a heading for each.
 */
export const PROBLEMS = {
  REQUEST_INVALID: { status: 400, title: 'Request is not well formed', retry: 'never' },
  TARGET_INVALID: { status: 400, title: 'URL is not well formed', retry: 'never' },
  TOPIC_INVALID: { status: 400, title: 'Topic is not well formed', retry: 'never' },
  FILTER_INVALID: { status: 400, title: 'Filter is not well formed', retry: 'never' },
  PATH_INVALID: { status: 400, title: 'Path is not well formed', retry: 'never' },
  POSITION_INVALID: { status: 400, title: 'Position is not well formed', retry: 'never' },
  JSON_INVALID: { status: 400, title: 'Body is not valid JSON', retry: 'never' },
  EVENT_INVALID: { status: 400, title: 'Event is not a valid CloudEvent', retry: 'never' },
  COMMAND_INVALID: { status: 400, title: 'Command is not well formed', retry: 'never' },
  CREDENTIALS_CONFLICT: { status: 400, title: 'Two different credentials', retry: 'never' },
  DIGEST_INVALID: { status: 400, title: 'Digest is not well formed', retry: 'never' },
  DIGEST_MISMATCH: {
    status: 400,
    title: 'Content does not have the stated digest',
    retry: 'backoff',
  },
  BODY_INCOMPLETE: { status: 400, title: 'Body ended early', retry: 'backoff' },
  UNAUTHENTICATED: { status: 401, title: 'A credential is needed', retry: 'never' },
  CREDENTIAL_INVALID: { status: 401, title: 'Credential is not valid', retry: 'never' },
  FORBIDDEN: { status: 403, title: 'Not allowed', retry: 'never' },
  ORIGIN_FORBIDDEN: { status: 403, title: 'Web origin is not allowed', retry: 'never' },
  TOPIC_RESERVED: {
    status: 403,
    title: 'Topic or source is reserved for the broker',
    retry: 'never',
  },
  NOT_FOUND: { status: 404, title: 'Not found', retry: 'never' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'Method is not allowed here', retry: 'never' },
  NOT_ACCEPTABLE: { status: 406, title: 'No such representation', retry: 'never' },
  REQUEST_TIMEOUT: { status: 408, title: 'Request took too long', retry: 'backoff' },
  EVENT_CONFLICT: { status: 409, title: 'Event id was used on another topic', retry: 'never' },
  UPLOAD_OFFSET_CONFLICT: {
    status: 409,
    title: 'Upload is at another offset',
    retry: 'after-refresh',
  },
  PATH_CONFLICT: { status: 409, title: 'A directory is in the way', retry: 'after-refresh' },
  READ_ONLY: { status: 409, title: 'File cannot be replaced', retry: 'never' },
  PRECONDITION_FAILED: { status: 412, title: 'Precondition does not hold', retry: 'after-refresh' },
  TUS_VERSION_UNSUPPORTED: {
    status: 412,
    title: 'Version of tus is not supported',
    retry: 'never',
  },
  TOO_LARGE: { status: 413, title: 'Body is too large', retry: 'never' },
  TARGET_TOO_LONG: { status: 414, title: 'URL is too long', retry: 'never' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, title: 'Content type is not supported', retry: 'never' },
  RANGE_NOT_SATISFIABLE: {
    status: 416,
    title: 'Range is outside the file',
    retry: 'after-refresh',
  },
  CONTENT_INVALID: { status: 422, title: 'Content was refused by its validator', retry: 'never' },
  UPLOAD_INTERRUPTED: {
    status: 423,
    title: 'Another request took the upload over',
    retry: 'after-refresh',
  },
  UPGRADE_REQUIRED: { status: 426, title: 'Not a WebSocket address', retry: 'never' },
  PRECONDITION_REQUIRED: { status: 428, title: 'A condition is needed', retry: 'after-refresh' },
  TOO_MANY_REQUESTS: { status: 429, title: 'Too many requests', retry: 'backoff' },
  HEADERS_TOO_LARGE: { status: 431, title: 'Header fields are too large', retry: 'never' },
  CHECKSUM_MISMATCH: {
    status: 460,
    title: 'Part does not have the stated checksum',
    retry: 'backoff',
  },
  INTERNAL: { status: 500, title: 'Internal error', retry: 'backoff' },
  UNAVAILABLE: { status: 503, title: 'Not available now', retry: 'backoff' },
  SLOW_CONSUMER: { status: 503, title: 'Subscriber fell behind', retry: 'backoff' },
  STORAGE_FULL: { status: 507, title: 'Storage is full', retry: 'backoff' },
  QUOTA_EXCEEDED: { status: 507, title: 'Quota is used up', retry: 'never' },
} as const satisfies Record<string, ProblemSpec>

export type ProblemCode = keyof typeof PROBLEMS

/** Fields of a problem beside the fixed ones: `index` of a batch, `errors` of a validator, ... */
export type ProblemFields = Readonly<Record<string, unknown>>

/** A promise that could not be kept, with a code for the caller and the cause for the log. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError'
  readonly code: ProblemCode
  readonly fields: ProblemFields

  constructor(
    code: ProblemCode,
    detail: string,
    options: ErrorOptions & { readonly fields?: ProblemFields } = {},
  ) {
    super(detail, options)
    this.code = code
    this.fields = options.fields ?? {}
  }

  get status(): number {
    return PROBLEMS[this.code].status
  }
}

/** A failure as a caller sees it. @see RFC 9457 */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ProblemCode
  readonly detail?: string
  readonly [field: string]: unknown
}

/**
 * @param baseUrl - what `type` begins with, e.g. `https://broker.example`; may be empty
 * @returns the problem of `error`; of an unknown error no word, which might name a path or a secret
 */
export function toProblem(error: unknown, baseUrl = ''): Problem {
  const known = error instanceof BrokerError
  const code = known ? error.code : 'INTERNAL'
  const { title, status } = PROBLEMS[code]
  return {
    type: `${baseUrl}/problems/${code}`,
    title,
    status,
    code,
    ...(known && { detail: error.message, ...error.fields }),
  }
}

export function isProblemCode(text: unknown): text is ProblemCode {
  return typeof text === 'string' && Object.hasOwn(PROBLEMS, text)
}
