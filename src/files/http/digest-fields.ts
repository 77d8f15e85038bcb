import { BrokerError } from '../../protocol/problem.ts'

export type DigestAlgorithm = 'sha-256' | 'sha-512'

/** A digest that a sender states of the content it sends. */
export interface StatedDigest {
  readonly field: string
  readonly algorithm: DigestAlgorithm
  /** Lower-case hex. */
  readonly hex: string
}

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>

const DIGEST_BYTES: Readonly<Record<DigestAlgorithm, number>> = { 'sha-256': 32, 'sha-512': 64 }

/**
 * The digests that a request states: `Repr-Digest` and `Content-Digest` (dictionaries of byte sequences,
 * of which unknown algorithms are ignored) and `X-Checksum-Sha256` (hex).
 *
 * @param fields - of the request, names in lower case
 * @throws {BrokerError} `DIGEST_INVALID`
 * @see RFC 9530 sections 2 and 3; RFC 8941 section 3.2 for dictionaries
 */
export function parseDigestFields(fields: Fields): readonly StatedDigest[] {
  return [
    ...dictionaryDigests(fields, 'repr-digest'),
    ...dictionaryDigests(fields, 'content-digest'),
    ...checksum(fields),
  ]
}

/** True when the sender states any digest, known to us or not. */
export function statesDigest(fields: Fields): boolean {
  return ['repr-digest', 'content-digest', 'x-checksum-sha256'].some((name) => name in fields)
}

/** The value of `Repr-Digest`. @param hex - in lower case */
export function formatReprDigest(hex: string, algorithm: DigestAlgorithm = 'sha-256'): string {
  return `${algorithm}=:${Buffer.from(hex, 'hex').toString('base64')}:`
}

/**
 * @param actual - of the content that came, in hex, by algorithm
 * @throws {BrokerError} `DIGEST_MISMATCH` naming the field
 */
export function verifyDigests(
  stated: readonly StatedDigest[],
  actual: Readonly<Partial<Record<DigestAlgorithm, string>>>,
): void {
  const wrong = stated.find(({ algorithm, hex }) => actual[algorithm] !== hex)
  if (wrong === undefined) return
  throw new BrokerError('DIGEST_MISMATCH', `the body does not have the digest of ${wrong.field}`)
}

function dictionaryDigests(fields: Fields, field: string): StatedDigest[] {
  const value = fields[field]
  if (value === undefined) return []
  const text = typeof value === 'string' ? value : value.join(',')
  const digests: StatedDigest[] = []
  for (const [algorithm, encoded] of dictionaryOf(field, text)) {
    if (algorithm !== 'sha-256' && algorithm !== 'sha-512') continue
    const bytes = Buffer.from(encoded, 'base64')
    if (bytes.length !== DIGEST_BYTES[algorithm]) {
      throw invalid(field, `${algorithm} has ${DIGEST_BYTES[algorithm]} bytes`)
    }
    digests.push({ field, algorithm, hex: bytes.toString('hex') })
  }
  return digests
}

/** Members of a dictionary of byte sequences; a later member replaces an earlier one of the same key. */
function dictionaryOf(field: string, text: string): Map<string, string> {
  const members = new Map<string, string>()
  const member =
    /[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[A-Za-z0-9._-]+)?)*[ \t]*(,|$)/y
  let comma = ''
  while (member.lastIndex < text.length) {
    const [, key, encoded, end] = member.exec(text) ?? []
    if (key === undefined || encoded === undefined) {
      throw invalid(field, 'it looks like sha-256=:<base64>:')
    }
    members.set(key, encoded)
    comma = end ?? ''
  }
  if (comma === ',' || members.size === 0) throw invalid(field, 'it ends in the middle')
  return members
}

function checksum(fields: Fields): StatedDigest[] {
  const field = 'x-checksum-sha256'
  const value = fields[field]
  if (value === undefined) return []
  if (typeof value !== 'string' || !/^[0-9a-f]{64}$/i.test(value)) {
    throw invalid(field, 'it is 64 hexadecimal digits')
  }
  return [{ field, algorithm: 'sha-256', hex: value.toLowerCase() }]
}

function invalid(field: string, rule: string): BrokerError {
  return new BrokerError('DIGEST_INVALID', `${field} cannot be read: ${rule}`)
}
