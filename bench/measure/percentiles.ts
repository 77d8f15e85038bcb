/** The value below which the share `p` (0 to 1) of `sorted` lies; `sorted` ascends and is not empty. */
export function percentile(sorted: ArrayLike<number>, p: number): number {
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))
  return sorted[index] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** A median and what it lies between. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) }
}

const BUCKETS_PER_MS = 20
const BUCKETS = 10_000 * BUCKETS_PER_MS

/** Counts durations in steps of 50 us up to 10 s; what is longer counts as 10 s. */
export class Histogram {
  readonly counts: Uint32Array

  constructor(counts: Uint32Array = new Uint32Array(BUCKETS + 1)) {
    this.counts = counts
  }

  add(ms: number): void {
    const bucket = Math.min(BUCKETS, Math.max(0, Math.floor(ms * BUCKETS_PER_MS)))
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
  }

  merge(other: Histogram): void {
    other.counts.forEach((count, bucket) => {
      this.counts[bucket] = (this.counts[bucket] ?? 0) + count
    })
  }

  /** The duration in ms below which the share `p` lies, rounded up to a step. */
  percentile(p: number): number {
    const total = this.counts.reduce((sum, count) => sum + count, 0)
    let seen = 0
    for (const [bucket, count] of this.counts.entries()) {
      seen += count
      if (seen >= p * total) return (bucket + 1) / BUCKETS_PER_MS
    }
    return Number.NaN
  }
}
