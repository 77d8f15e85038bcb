import type { BigIntStats } from 'node:fs'

/**
 * What tells, without reading it, that a file's content may have changed. `ctime` moves with every write
 * and rename and cannot be set back, so an edit that restores `mtime` is seen too (git's racy-clean rule).
 */
export interface Fingerprint {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: number
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
}

export function fingerprintOf(stats: BigIntStats): Fingerprint {
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  return { dev, ino, size: Number(size), mtimeNs, ctimeNs }
}

export function sameFingerprint(a: Fingerprint, b: Fingerprint): boolean {
  return (
    a.dev === b.dev &&
    a.ino === b.ino &&
    a.size === b.size &&
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs
  )
}
