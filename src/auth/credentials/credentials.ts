import { Buffer } from 'node:buffer'
import { BrokerError } from '../../protocol/problem.ts'

/** A secret found in the headers of a request. */
export interface PresentedCredential {
  readonly secret: string
  /** True when a browser may have sent it by itself (Basic), to whatever page asked for the request. */
  readonly isAmbient: boolean
  /** The user name of Basic; it must be the token's user or `token`. */
  readonly user?: string
}

/** Longer than any secret in use: bounds what a request can make us hash. */
const MAX_SECRET_LENGTH = 1024

/**
 * Finds the credential in the header fields of a request: `Authorization` with Bearer or Basic,
 * `X-Broker-Token`, and the WebSocket subprotocol `bearer.<base64url of the token>`.
 *
 * @param rawHeaders - names and values in turn, as Node gives them: `headers` would drop repeated ones
 * @returns undefined when there is none; the same secret given twice is one
 * @throws {BrokerError} `CREDENTIALS_CONFLICT` for two different ones, `CREDENTIAL_INVALID` for a malformed
 *   one, `REQUEST_INVALID` for a bearer subprotocol without a real one beside it
 */
export function presentedCredential(
  rawHeaders: readonly string[],
): PresentedCredential | undefined {
  let found: PresentedCredential | undefined
  for (const one of credentialsIn(rawHeaders)) found = found === undefined ? one : same(found, one)
  return found
}

function credentialsIn(rawHeaders: readonly string[]): PresentedCredential[] {
  const found: PresentedCredential[] = []
  const protocols: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase()
    const value = (rawHeaders[i + 1] ?? '').trim()
    if (name === 'authorization') found.push(parseAuthorization(value))
    else if (name === 'x-broker-token') found.push(explicit(value))
    else if (name === 'sec-websocket-protocol') protocols.push(...value.split(/[\t ]*,[\t ]*/))
  }
  return [...found, ...fromSubprotocols(protocols)]
}

function same(a: PresentedCredential, b: PresentedCredential): PresentedCredential {
  const [first, second] = [a.user ?? b.user, b.user ?? a.user]
  if (a.secret !== b.secret || first !== second) {
    throw new BrokerError(
      'CREDENTIALS_CONFLICT',
      'the request carries two different credentials; send one',
    )
  }
  const user = first === undefined ? {} : { user: first }
  return { secret: a.secret, isAmbient: a.isAmbient && b.isAmbient, ...user }
}

function parseAuthorization(value: string): PresentedCredential {
  const [, scheme = '', rest = ''] = /^([A-Za-z][\w-]*) +(.*)$/.exec(value) ?? []
  if (scheme.toLowerCase() === 'bearer') return explicit(rest.trim())
  if (scheme.toLowerCase() === 'basic') return parseBasic(rest.trim())
  throw invalid('the Authorization header is neither "Bearer <token>" nor Basic')
}

function explicit(secret: string): PresentedCredential {
  // Visible ASCII without a comma, which would be two header fields joined by a proxy.
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(secret) || secret.length > MAX_SECRET_LENGTH) {
    throw invalid('the token is empty or holds characters that no token has')
  }
  return { secret, isAmbient: false }
}

function parseBasic(text: string): PresentedCredential {
  const decoded = /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
  const pair = decoded?.toString('utf8') ?? ''
  const colon = pair.indexOf(':')
  const [user, secret] = [pair.slice(0, colon), pair.slice(colon + 1)]
  if (colon === -1 || secret === '' || secret.length > MAX_SECRET_LENGTH) {
    throw invalid('Basic needs the user name, or "token", and a token as the password')
  }
  return { secret, isAmbient: true, user }
}

/** Lets a browser give a token to a WebSocket; a server that echoes no real subprotocol fails the client. */
function fromSubprotocols(protocols: readonly string[]): PresentedCredential[] {
  const bearers = protocols.filter((protocol) => protocol.startsWith('bearer.'))
  if (bearers.length > 0 && bearers.length === protocols.length) {
    throw new BrokerError(
      'REQUEST_INVALID',
      'the subprotocol "bearer.…" is offered beside a real one, such as broker.v1.json',
    )
  }
  return bearers.map((bearer) => {
    const encoded = bearer.slice('bearer.'.length)
    if (!/^[A-Za-z0-9_-]+={0,2}$/.test(encoded)) throw invalid('the subprotocol holds no token')
    return explicit(Buffer.from(encoded, 'base64url').toString('utf8'))
  })
}

function invalid(detail: string): BrokerError {
  return new BrokerError('CREDENTIAL_INVALID', detail)
}
