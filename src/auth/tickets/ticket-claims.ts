import type { Buffer } from 'node:buffer'
import jwt from 'jsonwebtoken'
import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'

/** What a ticket opens: a WebSocket, a stream of events over HTTP, or one download. */
export const TICKET_PURPOSES = ['websocket', 'events', 'download'] as const

export type TicketPurpose = (typeof TICKET_PURPOSES)[number]

export interface TicketClaims {
  readonly id: string
  readonly user: string
  readonly purpose: TicketPurpose
  /** The one file of a download. */
  readonly path?: FilePath
  /** Seconds since the epoch. */
  readonly issuedAt: number
}

/** Seconds for which a ticket can be used first. */
export const TICKET_SECONDS = 30

const ISSUER = 'data-broker'
const AUDIENCE = 'data-broker/tickets'
/** Keeps a JWT of another use with the same key from passing for a ticket (RFC 8725 section 3.11). */
const TYPE = 'databroker-ticket+jwt'
const MAX_LENGTH = 4096

export function signTicket(claims: TicketClaims, key: Buffer): string {
  const payload = {
    jti: claims.id,
    sub: claims.user,
    iss: ISSUER,
    aud: AUDIENCE,
    iat: claims.issuedAt,
    exp: claims.issuedAt + TICKET_SECONDS,
    purpose: claims.purpose,
    ...(claims.path !== undefined && { path: claims.path }),
  }
  return jwt.sign(payload, key, { algorithm: 'HS256', header: { alg: 'HS256', typ: TYPE } })
}

/**
 * Checks everything of a ticket except its age, which the caller holds against what it knows of the id.
 *
 * @returns undefined for anything that is not a ticket of ours
 */
export function verifyTicket(ticket: string, key: Buffer): TicketClaims | undefined {
  if (ticket.length > MAX_LENGTH) return undefined
  try {
    const { header, payload } = jwt.verify(ticket, key, {
      algorithms: ['HS256'],
      issuer: ISSUER,
      audience: AUDIENCE,
      ignoreExpiration: true,
      complete: true,
    })
    // The library looks neither at `typ` nor at `crit`, and takes a text for a payload.
    if (header.typ !== TYPE || header.crit !== undefined) return undefined
    return typeof payload === 'object' ? readClaims(payload) : undefined
  } catch {
    return undefined
  }
}

function readClaims(payload: jwt.JwtPayload): TicketClaims | undefined {
  const { jti, sub, aud, iat, exp } = payload
  const purpose = TICKET_PURPOSES.find((known) => known === payload['purpose'])
  const isOurs = aud === AUDIENCE && typeof jti === 'string' && typeof sub === 'string'
  if (!isOurs || purpose === undefined || !Number.isSafeInteger(iat)) return undefined
  if (iat === undefined || exp !== iat + TICKET_SECONDS) return undefined
  const claims = { id: jti, user: sub, purpose, issuedAt: iat }
  if (purpose !== 'download') return claims
  const text: unknown = payload['path']
  const path = typeof text === 'string' ? parseFilePath(text) : undefined
  return path?.ok === true ? { ...claims, path: path.value } : undefined
}
