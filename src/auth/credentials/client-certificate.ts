import { Buffer } from 'node:buffer'
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { BrokerError } from '../../protocol/problem.ts'

const PEM = /^-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/

/**
 * The client certificate that nginx verified and passed on: `X-Client-Verify: SUCCESS` and, in
 * `X-Client-Cert`, the PEM text percent-encoded. Only for requests that certainly come from the proxy:
 * anybody can send these fields.
 *
 * @returns SHA-256 of the DER in lower-case hex; undefined without a verified certificate
 * @throws {BrokerError} `CREDENTIAL_INVALID` when the certificate cannot be read
 */
export function clientCertificate(headers: IncomingHttpHeaders): string | undefined {
  if (headers['x-client-verify'] !== 'SUCCESS') return undefined
  const [, base64] = PEM.exec(decoded(headers['x-client-cert'])) ?? []
  if (base64 === undefined) {
    throw new BrokerError('CREDENTIAL_INVALID', 'the client certificate could not be read')
  }
  return hash('sha256', Buffer.from(base64, 'base64'), 'hex')
}

function decoded(field: string | string[] | undefined): string {
  if (typeof field !== 'string') return ''
  try {
    return decodeURIComponent(field)
  } catch {
    return ''
  }
}
