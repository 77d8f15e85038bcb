import type { DigestAlgorithm } from './digest-fields.ts'

const STORED: readonly DigestAlgorithm[] = ['sha-256']

/** A member whose preference is an integer of 0 to 10; parameters mean nothing. */
const MEMBER = /^([a-z*][a-z0-9_.*-]*)=(10|\d)(?:;.*)?$/

/**
 * The digests that `Want-Repr-Digest` asks for, of those that can be had, the one to try first in front. One
 * of preference 0 is not wanted. sha-256, which is stored, comes first among equals, and stands for those
 * that are not known. A field that cannot be read is passed over: it asks, it does not demand.
 *
 * @see RFC 9530 section 4
 */
export function parseWantedDigests(
  field: string | readonly string[] | undefined,
): readonly DigestAlgorithm[] {
  if (field === undefined) return STORED
  const preferences = new Map<string, number>()
  for (const member of String(field).split(',')) {
    const [, algorithm, preference] = MEMBER.exec(member.trim()) ?? []
    if (algorithm === undefined) return STORED
    preferences.set(algorithm, Number(preference))
  }
  const [sha256, sha512 = 0] = [preferences.get('sha-256'), preferences.get('sha-512')]
  const wanted: DigestAlgorithm[] = sha512 > (sha256 ?? 0) ? ['sha-512'] : []
  return sha256 === 0 ? wanted : [...wanted, 'sha-256']
}
