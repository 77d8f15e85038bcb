import { BrokerError } from '../../protocol/problem.ts'
import { fromBase64, toBase64 } from './base64.ts'

/**
 * The value of `Repr-Digest` that states a content's SHA-256.
 *
 * @param sha256 - 64 hexadecimal digits
 * @throws {BrokerError} `DIGEST_INVALID`
 * @see RFC 9530 section 3
 */
export function reprDigest(sha256: string): string {
  if (!/^[0-9a-f]{64}$/i.test(sha256)) {
    throw new BrokerError('DIGEST_INVALID', 'a SHA-256 is 64 hexadecimal digits')
  }
  const pairs = sha256.match(/../g) ?? []
  return `sha-256=:${toBase64(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)))}:`
}

/** The SHA-256 that an answer states, in lower-case hex; from `Repr-Digest`, else from the ETag. */
export function statedSha256(headers: Headers): string | undefined {
  const digest = /(?:^|[\s,])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(headers.get('repr-digest') ?? '')
  const etag = /^"sha256-([A-Za-z0-9_-]{43})"$/.exec(headers.get('etag') ?? '')
  const text = digest?.[1] ?? etag?.[1]?.replaceAll('-', '+').replaceAll('_', '/').concat('=')
  const bytes = text === undefined ? undefined : fromBase64(text)
  return bytes && Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
