import type { FastifyRequest } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'
import { parseRequestTarget } from '../protocol/request-target.ts'
import { type PresentedCredential, presentedCredential } from './credentials/credentials.ts'
import { isForbiddenOrigin, type OriginRules } from './credentials/origin.ts'
import { containsToken } from './credentials/tokens.ts'
import type { Principal } from './principal.ts'
import type { Tickets, TicketUse } from './tickets/tickets.ts'
import type { UserDirectory } from './user-directory.ts'

export interface IdentityDeps {
  readonly directory: UserDirectory
  readonly tickets: Tickets
  readonly origins: OriginRules
  /**
   * `clientCertificate` of a request that certainly came from the trusted proxy, undefined for every other
   * request.
   */
  readonly certificateOf?: (request: FastifyRequest) => string | undefined
  /** Told of a request whose credential was refused. */
  readonly refused?: (error: BrokerError, request: FastifyRequest) => void
}

/**
 * Who a request is from, by its headers, its ticket or its client certificate, in this order of weight. A
 * token names the user where a certificate is shown too: certificates are also used to secure the way.
 *
 * @throws {BrokerError} `CREDENTIAL_INVALID`, `CREDENTIALS_CONFLICT`, `ORIGIN_FORBIDDEN`,
 *   `TOO_MANY_REQUESTS`, and `REQUEST_INVALID` for a token in the query
 */
export function identifyRequest(request: FastifyRequest, deps: IdentityDeps): Principal {
  const ticket = ticketIn(request.raw.url ?? '/')
  const presented = presentedCredential(request.raw.rawHeaders)
  if (ticket !== undefined && presented !== undefined) throw conflict()
  const isExplicit = ticket !== undefined || presented?.isAmbient === false
  if (!isExplicit) refuseForeignOrigin(request, deps.origins)
  const from = request.ip
  if (ticket !== undefined) return deps.tickets.redeem(ticket, useOf(request), from)
  const certificate = deps.certificateOf?.(request)
  if (presented !== undefined) {
    const principal = authenticate(presented, from, deps.directory)
    refuseOtherOwner(certificate, principal, deps.directory)
    return principal
  }
  if (certificate !== undefined) return deps.directory.authenticateCertificate(certificate)
  return deps.directory.anonymous()
}

function authenticate(
  presented: PresentedCredential,
  from: string,
  directory: UserDirectory,
): Principal {
  const principal = directory.authenticate(presented.secret, from)
  const { user } = presented
  if (user === undefined || user === 'token' || user === principal.user) return principal
  throw new BrokerError('CREDENTIAL_INVALID', 'the token is of another user than the one named')
}

function refuseOtherOwner(
  certificate: string | undefined,
  principal: Principal,
  directory: UserDirectory,
): void {
  const listed =
    certificate === undefined ? undefined : directory.table.credential('certificate', certificate)
  if (listed !== undefined && listed.user !== principal.user) throw conflict()
}

function refuseForeignOrigin({ method, headers }: FastifyRequest, rules: OriginRules): void {
  const facts = {
    method,
    origin: headers.origin,
    host: headers.host,
    fetchSite: single(headers['sec-fetch-site']),
    fetchMode: single(headers['sec-fetch-mode']),
    fetchDest: single(headers['sec-fetch-dest']),
    isExplicit: false,
  }
  if (!isForbiddenOrigin(facts, rules)) return
  throw new BrokerError(
    'ORIGIN_FORBIDDEN',
    'a page of another origin needs a token or a ticket, or its origin among those allowed',
  )
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

/** URLs are logged by proxies, kept in histories and sent on as referrers: a token there has leaked. */
function refuseTokens(query: URLSearchParams): void {
  for (const [name, value] of query) {
    const isTokenField = /^(access_token|token|x-broker-token)$/i.test(name)
    if (!isTokenField && !containsToken(name) && !containsToken(value)) continue
    throw new BrokerError(
      'REQUEST_INVALID',
      'a token does not belong in a URL, where it is logged: revoke it, and send it in a header',
    )
  }
}

function ticketIn(target: string): string | undefined {
  const [, text] = /\?([^#]*)/.exec(target) ?? []
  if (text === undefined) return undefined
  const query = new URLSearchParams(text)
  refuseTokens(query)
  const [ticket, ...others] = query.getAll('ticket')
  if (others.some((other) => other !== ticket)) throw conflict()
  return ticket
}

function conflict(): BrokerError {
  return new BrokerError(
    'CREDENTIALS_CONFLICT',
    'the request carries two different credentials; send one',
  )
}

function useOf(request: FastifyRequest): TicketUse {
  const target = request.raw.url ?? '/'
  const { segments, isDirectory } = parseRequestTarget(target)
  const isContinued = request.headers['last-event-id'] !== undefined
  const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket'
  const [place, ...rest] = segments
  if (request.method === 'GET') {
    if (isWebSocket && (place === 'ws' || place === 'events')) {
      return { purpose: 'websocket', target, isContinued }
    }
    if (place === 'events' && !isWebSocket) return { purpose: 'events', target, isContinued }
    if (place === 'files' && rest.length > 0 && !isDirectory) {
      return { purpose: 'download', target, path: rest.join('/'), isContinued }
    }
  }
  throw new BrokerError('CREDENTIAL_INVALID', 'a ticket opens a stream or a download, nothing else')
}
