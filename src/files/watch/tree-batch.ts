import type { FilePath } from '../../protocol/file-path.ts'
import type { Fingerprint } from '../fingerprint.ts'

/** A stretch of a walk of the tree, in the order of paths. */
export interface TreeBatch {
  readonly paths: readonly FilePath[]
  /** Five numbers a path, so that a hundred thousand of them cross threads as one block of memory each. */
  readonly numbers: BigInt64Array<ArrayBuffer>
  /** Directories that could not be read: nothing is known of what is below. */
  readonly unreadable: readonly string[]
}

const FIELDS = 5

export function packFingerprints(fingerprints: readonly Fingerprint[]): BigInt64Array<ArrayBuffer> {
  const numbers = new BigInt64Array(fingerprints.length * FIELDS)
  for (const [i, { dev, ino, size, mtimeNs, ctimeNs }] of fingerprints.entries()) {
    numbers.set([dev, ino, BigInt(size), mtimeNs, ctimeNs], i * FIELDS)
  }
  return numbers
}

export function unpackFingerprint(numbers: BigInt64Array, index: number): Fingerprint {
  const [dev = 0n, ino = 0n, size = 0n, mtimeNs = 0n, ctimeNs = 0n] = numbers.subarray(
    index * FIELDS,
    (index + 1) * FIELDS,
  )
  return {
    // Unsigned in the kernel; file systems that join others use the highest bits of `ino`.
    dev: BigInt.asUintN(64, dev),
    ino: BigInt.asUintN(64, ino),
    size: Number(size),
    mtimeNs,
    ctimeNs,
  }
}
