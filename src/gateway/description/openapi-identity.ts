import { operation, type PathItem } from './openapi-operation.ts'
import { schemaRef } from './schema-ref.ts'

/** The routes of `src/auth/plugin.ts`. */
export const IDENTITY_PATHS: Readonly<Record<string, PathItem>> = {
  '/auth/me': {
    get: operation({
      operationId: 'whoAmI',
      tag: 'identity',
      summary: 'Who one is and what one may do',
      answers: {
        200: {
          description: 'Anonymous too.',
          content: { 'application/json': schemaRef('WhoAmI') },
        },
      },
    }),
  },
  '/auth/users': {
    get: operation({
      operationId: 'listUsers',
      tag: 'identity',
      summary: 'The users in force, what they are known by, and when each credential was last used',
      answers: {
        200: {
          description: 'For administrators.',
          content: { 'application/json': schemaRef('UsersAnswer') },
        },
      },
      problems: ['UNAUTHENTICATED', 'FORBIDDEN'],
    }),
  },
  '/auth/token': {
    post: operation({
      operationId: 'exchangeToken',
      tag: 'identity',
      summary: 'A token for a job of a CI system, known by its OIDC token',
      description:
        'Which jobs of which issuer are a user, `<oidc>` of the users file says. The token is good for 15 minutes, ' +
        'until the rule is gone, or until the broker is restarted. A refusal tells no reason; the log does.',
      body: {
        'application/x-www-form-urlencoded': schemaRef('ExchangeRequest'),
        'application/json': schemaRef('ExchangeRequest'),
      },
      answers: {
        200: {
          description: 'A token.',
          content: { 'application/json': schemaRef('ExchangeAnswer') },
        },
      },
      problems: ['JSON_INVALID', 'TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED', 'UNAVAILABLE'],
    }),
  },
  '/auth/tickets': {
    post: operation({
      operationId: 'createTicket',
      tag: 'identity',
      summary: 'A ticket for one request that cannot carry headers',
      description:
        'Good for 30 seconds and one request with `?ticket=`. One of purpose `events` continues the same stream for an hour.',
      body: { 'application/json': schemaRef('TicketRequest') },
      answers: {
        201: {
          description: 'A ticket.',
          content: { 'application/json': schemaRef('TicketAnswer') },
        },
      },
      problems: [
        'JSON_INVALID',
        'PATH_INVALID',
        'UNAUTHENTICATED',
        'TOO_LARGE',
        'MEDIA_TYPE_UNSUPPORTED',
      ],
    }),
  },
}
