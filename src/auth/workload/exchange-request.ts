import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { BrokerError } from '../../protocol/problem.ts'

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token'
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** The body of `POST /auth/token`, a form or JSON: RFC 8693 section 2.1, fields of no meaning here ignored. */
export const ExchangeRequest = Type.Object({
  subject_token: Type.String({
    minLength: 1,
    description: 'The OIDC token that the CI system gave to the job.',
  }),
  grant_type: Type.Optional(Type.Enum([GRANT])),
  subject_token_type: Type.Optional(Type.Enum([JWT, ID_TOKEN])),
  user: Type.Optional(
    Type.String({ description: 'Needed only when the rules of several users mean the job.' }),
  ),
})

export type ExchangeRequest = Static<typeof ExchangeRequest>

/** The answer of `POST /auth/token`: RFC 8693 section 2.2.1, and whose token it is. */
export const ExchangeAnswer = Type.Object({
  access_token: Type.String({ description: '`dbk_...`, used as any other token.' }),
  issued_token_type: Type.Enum([ACCESS_TOKEN]),
  token_type: Type.Enum(['Bearer']),
  expires_in: Type.Integer({ description: 'Seconds.' }),
  user: Type.String(),
})

export type ExchangeAnswer = Static<typeof ExchangeAnswer>

const validator = Compile(ExchangeRequest)

/** @throws {BrokerError} `REQUEST_INVALID` */
export function parseExchangeRequest(body: unknown): ExchangeRequest {
  if (validator.Check(body)) return body
  throw new BrokerError(
    'REQUEST_INVALID',
    'an exchange needs a subject_token, and its types, where they are given, as in RFC 8693',
  )
}

/**
 * The fields of a form.
 *
 * @throws {BrokerError} `REQUEST_INVALID` for one that is there twice, of which another reader could take
 *   the other
 */
export function parseForm(text: string): Readonly<Record<string, string>> {
  const fields = [...new URLSearchParams(text)]
  if (new Set(fields.map(([name]) => name)).size === fields.length)
    return Object.fromEntries(fields)
  throw new BrokerError('REQUEST_INVALID', 'a field of the form is there more than once')
}
