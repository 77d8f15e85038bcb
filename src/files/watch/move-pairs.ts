import type { Fingerprint } from '../fingerprint.ts'

/** A path of which the index knows a content that is not on disk any more. */
export interface Gone {
  readonly known: { readonly fingerprint: Fingerprint }
}

/** A path with a content on disk that the index does not know. */
export interface Arrived {
  readonly fingerprint: Fingerprint
}

export interface MovePairs<From, To> {
  readonly pairs: readonly (readonly [From, To])[]
  readonly gone: readonly From[]
  readonly arrived: readonly To[]
}

/** Names a file whatever its path: a rename keeps both numbers. */
export function inodeKey({ dev, ino }: Fingerprint): string {
  return `${dev}:${ino}`
}

/**
 * Finds what may have been renamed: the same inode with the same size gone from one path and arrived at
 * another. An inode number is used again soon after a deletion, so equal digests must confirm a pair.
 */
export function pairMoves<From extends Gone, To extends Arrived>(
  gone: readonly From[],
  arrived: readonly To[],
): MovePairs<From, To> {
  const left = new Map(gone.map((from) => [moveKey(from.known.fingerprint), from]))
  const pairs: (readonly [From, To])[] = []
  const unpaired: To[] = []
  for (const to of arrived) {
    const key = moveKey(to.fingerprint)
    const from = left.get(key)
    if (from === undefined) unpaired.push(to)
    else pairs.push([from, to])
    left.delete(key)
  }
  const paired = new Set(pairs.map(([from]) => from))
  return { pairs, gone: gone.filter((from) => !paired.has(from)), arrived: unpaired }
}

function moveKey(fingerprint: Fingerprint): string {
  return `${inodeKey(fingerprint)}:${fingerprint.size}`
}
