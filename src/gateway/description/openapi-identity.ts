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
