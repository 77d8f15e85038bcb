import type { TSchema } from 'typebox'
import { PROBLEMS, type ProblemCode } from '../../protocol/problem.ts'
import { PROBLEM_TYPE } from '../problem-reply.ts'
import type { HeaderName } from './openapi-headers.ts'
import type { Parameter } from './openapi-parameters.ts'
import { schemaRef } from './schema-ref.ts'

/** A schema by media type. */
export type Content = Readonly<Record<string, TSchema>>

export interface Answer {
  readonly description: string
  readonly content?: Content
  readonly headers?: readonly HeaderName[]
}

export interface OperationSpec {
  readonly operationId: string
  readonly tag: 'events' | 'files' | 'identity' | 'broker'
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: Content
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Beside those that no route is free of. */
  readonly problems?: readonly ProblemCode[]
  /** True where `?ticket=` is taken too. */
  readonly takesTicket?: boolean
}

export interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: MediaTypes }
  readonly responses: Readonly<Record<string, OperationResponse | typeof OTHER_PROBLEM>>
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
}

export interface OperationResponse {
  readonly description: string
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>
  readonly content?: MediaTypes
}

type MediaTypes = Readonly<Record<string, { readonly schema: object }>>

/** A `PathItem`: operations by method in lower case. */
export type PathItem = Readonly<Record<string, Operation>>

/** Problems of the framework and of credentials, which no route is free of. */
const EVERYWHERE: readonly ProblemCode[] = [
  'REQUEST_INVALID',
  'TARGET_INVALID',
  'CREDENTIALS_CONFLICT',
  'CREDENTIAL_INVALID',
  'ORIGIN_FORBIDDEN',
  'TARGET_TOO_LONG',
  'TOO_MANY_REQUESTS',
  'HEADERS_TOO_LARGE',
  'INTERNAL',
]

const PROBLEM_HEADERS: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ['WWW-Authenticate'],
  405: ['Allow'],
  416: ['Content-Range'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

const OTHER_PROBLEM = { $ref: '#/components/responses/Problem' } as const

/** `components.responses` */
export const RESPONSES = {
  Problem: problemResponse(EVERYWHERE, ['WWW-Authenticate', 'Retry-After', 'Allow']),
}

/** The credentials that every route takes; the empty one is anonymous. */
export const SECURITY = [{ bearer: [] }, { token: [] }, { basic: [] }, { certificate: [] }, {}]

export function operation(spec: OperationSpec): Operation {
  const { operationId, tag, summary, description, parameters, body, answers } = spec
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description !== undefined && { description }),
    ...(parameters !== undefined && { parameters }),
    ...(body !== undefined && { requestBody: { content: mediaTypes(body) } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([code, given]) => [code, answer(given)])),
      ...problemResponses(spec.problems ?? []),
      default: OTHER_PROBLEM,
    },
    ...(spec.takesTicket === true && { security: [{ ticket: [] }, ...SECURITY] }),
  }
}

function answer({ description, content, headers }: Answer): OperationResponse {
  return {
    description,
    ...(headers !== undefined && { headers: headerRefs(headers) }),
    ...(content !== undefined && { content: mediaTypes(content) }),
  }
}

function mediaTypes(content: Content): MediaTypes {
  return Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }]))
}

function headerRefs(names: readonly HeaderName[]): Record<string, { readonly $ref: string }> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** One response for each status that the codes have, whose schema names all codes of that status. */
function problemResponses(codes: readonly ProblemCode[]): Record<string, OperationResponse> {
  const byStatus = Object.groupBy(new Set(codes), statusOf)
  const everywhere = Object.groupBy(EVERYWHERE, statusOf)
  const responses: Record<string, OperationResponse> = {}
  for (const [status, group = []] of Object.entries(byStatus)) {
    const also = everywhere[Number(status)] ?? []
    responses[status] = problemResponse([...group, ...also], PROBLEM_HEADERS[Number(status)])
  }
  return responses
}

function problemResponse(
  codes: readonly ProblemCode[],
  headers: readonly HeaderName[] = [],
): OperationResponse {
  const schema = { allOf: [schemaRef('Problem'), { properties: { code: { enum: codes } } }] }
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('. '),
    ...(headers.length > 0 && { headers: headerRefs(headers) }),
    content: { [PROBLEM_TYPE]: { schema } },
  }
}

function statusOf(code: ProblemCode): number {
  return PROBLEMS[code].status
}
