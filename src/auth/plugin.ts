import type { FastifyInstance } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'
import { addressSource } from './credentials/address-source.ts'
import { type IdentityDeps, identifyRequest } from './identify-request.ts'
import { parseTicketRequest } from './tickets/ticket-request.ts'
import { whoAmI } from './who-am-i.ts'

/**
 * Gives every request its `principal` before any handler, and serves `/auth/`. Called on the root instance
 * before routes are added: what is registered on a child would not hold for the others.
 *
 * A refused credential is thrown as a `BrokerError`; the error handler of the gateway renders it.
 */
export function installIdentity(app: FastifyInstance, deps: IdentityDeps): void {
  app.decorateRequest('principal')
  app.addHook('onRequest', (request, _reply, done) => {
    // So that error handlers and logs find a principal when the credential is refused.
    request.principal = deps.directory.anonymous()
    try {
      request.principal = identifyRequest(request, deps)
    } catch (error) {
      if (error instanceof BrokerError) {
        const fields = { event: 'auth.refused', code: error.code, from: addressSource(request.ip) }
        request.log.info(fields, 'refused')
      }
      throw error
    }
    done()
  })
  installRoutes(app, deps)
}

/** `GET /auth/me` answers `WhoAmI`, anonymous included; `POST /auth/tickets` 201 `TicketAnswer`. */
function installRoutes(app: FastifyInstance, { directory, tickets }: IdentityDeps): void {
  app.get('/auth/me', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return whoAmI(request.principal, directory.rolesOf(request.principal))
  })
  app.post('/auth/tickets', async (request, reply) => {
    reply.header('cache-control', 'no-store').code(201)
    const { purpose, path } = parseTicketRequest(request.body)
    const { ticket, expiresMs } = tickets.issue(request.principal, purpose, path)
    return { ticket, expires: new Date(expiresMs).toISOString() }
  })
}
