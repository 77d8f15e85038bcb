import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'
import { addressSource } from './credentials/address-source.ts'
import type { LastUses } from './credentials/last-uses.ts'
import { type IdentityDeps, identifyRequest } from './identify-request.ts'
import { requireGrant } from './require-grant.ts'
import { parseTicketRequest, type WantedTicket } from './tickets/ticket-request.ts'
import { usersAnswer } from './users-answer.ts'
import { whoAmI } from './who-am-i.ts'

export interface PluginDeps extends IdentityDeps {
  readonly lastUses: Pick<LastUses, 'of'>
  /** Told of a request whose credential was refused. */
  readonly refused?: (error: BrokerError, request: FastifyRequest) => void
  /** Told of a ticket that was made for the user of the request at hand. */
  readonly ticketIssued?: (wanted: WantedTicket) => void
}

/**
 * Gives every request its `principal` before any handler, and serves `/auth/`. Called on the root instance
 * before routes are added: what is registered on a child would not hold for the others.
 *
 * A refused credential is thrown as a `BrokerError`; the error handler of the gateway renders it.
 */
export function installIdentity(app: FastifyInstance, deps: PluginDeps): void {
  app.decorateRequest('principal')
  app.addHook('onRequest', (request, _reply, done) => {
    // So that error handlers and logs find a principal when the credential is refused.
    request.principal = deps.directory.anonymous()
    try {
      request.principal = identifyRequest(request, deps)
    } catch (error) {
      if (error instanceof BrokerError) {
        const { id: requestId, ip, headers } = request
        const { code } = error
        const from = addressSource(ip)
        // What may have to be added to those allowed; a real one is no longer than a host name can be.
        const origin = code === 'ORIGIN_FORBIDDEN' ? headers.origin?.slice(0, 300) : undefined
        const fields = { event: 'auth.refused', requestId, code, from, origin }
        request.log.info(fields, 'refused')
        deps.refused?.(error, request)
      }
      throw error
    }
    done()
  })
  installRoutes(app, deps)
}

/** `GET /auth/me` answers `WhoAmI`, anonymous included; `GET /auth/users` `UsersAnswer`; `POST /auth/tickets` 201 `TicketAnswer`. */
function installRoutes(app: FastifyInstance, deps: PluginDeps): void {
  const { directory, tickets, lastUses } = deps
  app.get('/auth/me', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return whoAmI(request.principal, directory.rolesOf(request.principal))
  })
  app.get('/auth/users', async (request, reply) => {
    requireGrant(request.principal, 'administer')
    reply.header('cache-control', 'no-store')
    return usersAnswer(directory.table.file, lastUses)
  })
  app.post('/auth/tickets', async (request, reply) => {
    reply.header('cache-control', 'no-store').code(201)
    const wanted = parseTicketRequest(request.body)
    const { ticket, expiresMs } = tickets.issue(request.principal, wanted.purpose, wanted.path)
    deps.ticketIssued?.(wanted)
    return { ticket, expires: new Date(expiresMs).toISOString() }
  })
}
