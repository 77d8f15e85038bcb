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

/**
 * Its numbers pass 2^53, which SQLite's reader would refuse, and are only ever compared as a whole: so in
 * the database it is one text.
 */
export function fingerprintText({ dev, ino, size, mtimeNs, ctimeNs }: Fingerprint): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

export function fingerprintFromText(text: string): Fingerprint {
  const [dev, ino, size, mtimeNs, ctimeNs] = text.split(':')
  return {
    dev: BigInt(dev ?? 0),
    ino: BigInt(ino ?? 0),
    size: Number(size),
    mtimeNs: BigInt(mtimeNs ?? 0),
    ctimeNs: BigInt(ctimeNs ?? 0),
  }
}

/** True when nothing but `ctime` differs, which links and renames move: the same file, and not written to. */
export function sameContent(a: Fingerprint, b: Fingerprint): boolean {
  return sameFingerprint({ ...a, ctimeNs: b.ctimeNs }, b)
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
