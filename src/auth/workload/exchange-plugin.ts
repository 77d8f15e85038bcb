import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BrokerError } from '../../protocol/problem.ts'
import { addressSource } from '../credentials/address-source.ts'
import {
  ACCESS_TOKEN,
  type ExchangeAnswer,
  parseExchangeRequest,
  parseForm,
} from './exchange-request.ts'
import type { ExchangedToken, TokenExchange } from './token-exchange.ts'

const MAX_BODY_BYTES = 32 * 1024

export interface ExchangePluginDeps {
  readonly exchange: TokenExchange
  /** Told of a token that the request at hand was given. */
  readonly issued?: (token: Omit<ExchangedToken, 'secret'>) => void
  /** Told of a request that was given none. */
  readonly refused?: (error: BrokerError, request: FastifyRequest) => void
}

/** `POST /auth/token`, for workloads: `ExchangeRequest` in, `ExchangeAnswer` out. */
export async function exchangePlugin(
  app: FastifyInstance,
  { exchange, issued, refused }: ExchangePluginDeps,
): Promise<void> {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    async (_request: unknown, text: string) => parseForm(text),
  )
  app.post('/auth/token', { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    const { subject_token: token, user: wanted } = parseExchangeRequest(request.body)
    try {
      const { secret, ...about } = await exchange.exchange(token, wanted, request.ip)
      const { user, id: credential, expiresMs, issuedMs } = about
      const subject = shown(about.subject)
      const fields = {
        event: 'auth.token.issued',
        requestId: request.id,
        user,
        credential,
        subject,
      }
      request.log.info(fields, 'token issued')
      issued?.({ ...about, subject })
      const answer: ExchangeAnswer = {
        access_token: secret,
        issued_token_type: ACCESS_TOKEN,
        token_type: 'Bearer',
        expires_in: Math.floor((expiresMs - issuedMs) / 1000),
        user,
      }
      return answer
    } catch (error) {
      if (error instanceof BrokerError) {
        const reason = error.cause instanceof Error ? error.cause.message : undefined
        const { id: requestId, ip } = request
        const why = { code: error.code, reason, from: addressSource(ip) }
        const fields = { event: 'auth.token.refused', requestId, ...why }
        request.log.info(fields, 'refused')
        refused?.(error, request)
      }
      throw error
    }
  })
}

/** It comes from outside, though signed: a log line is not a place for much of it. */
function shown(subject: string): string {
  return subject.slice(0, 200)
}
