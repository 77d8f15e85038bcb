import type { Validators } from './conditions.ts'
import { parseHttpDate } from './http-date.ts'

/** A stretch of a file; both ends are part of it. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** `whole` when there is no range to honour, which is always allowed. */
export type RangeOutcome = 'whole' | 'unsatisfiable' | readonly ByteRange[]

/** More ranges than this in one request are only sent to do harm (CVE-2011-3192). */
export const MAX_RANGES = 8

/**
 * Reads a `Range` field. A field that cannot be read, another unit, too many ranges, or ranges that
 * together are more than the file are ignored.
 *
 * @see RFC 9110 section 14.1.2 and 14.2
 */
export function parseRange(text: string | undefined, size: number): RangeOutcome {
  const list = /^bytes=(.*)$/i.exec(text?.trim() ?? '')?.[1]
  if (list === undefined) return 'whole'
  const specs = list
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '')
  if (specs.length === 0 || specs.length > MAX_RANGES) return 'whole'
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    const range = rangeOf(spec, size)
    if (range === 'malformed') return 'whole'
    if (range !== 'outside') ranges.push(range)
  }
  if (ranges.length === 0) return 'unsatisfiable'
  const sum = ranges.reduce((bytes, range) => bytes + lengthOf(range), 0)
  return ranges.length > 1 && sum > size ? 'whole' : ranges
}

/** True when the ranges may be sent: there is no `If-Range`, or it names the content that is there. */
export function rangeApplies(ifRange: string | undefined, current: Validators): boolean {
  if (ifRange === undefined) return true
  const text = ifRange.trim()
  if (text.startsWith('"')) return text === current.etag
  // Equal, not later: and the sender itself must not use a date that another content may share
  // (RFC 9110 section 13.1.5).
  const dateMs = parseHttpDate(text)
  const known = current.etag !== undefined
  return known && dateMs === Math.floor(current.modifiedMs / 1000) * 1000
}

export function lengthOf(range: ByteRange): number {
  return range.last - range.first + 1
}

/** The value of `Content-Range`; without a range, that of a 416. */
export function formatContentRange(range: ByteRange | undefined, size: number): string {
  return range === undefined ? `bytes */${size}` : `bytes ${range.first}-${range.last}/${size}`
}

function rangeOf(spec: string, size: number): ByteRange | 'outside' | 'malformed' {
  const match = /^(\d{0,16})-(\d{0,16})$/.exec(spec)
  const [, from, to] = match ?? []
  if (from === undefined || to === undefined || (from === '' && to === '')) return 'malformed'
  if (from === '') {
    const suffix = Number(to)
    if (suffix === 0 || size === 0) return 'outside'
    return { first: Math.max(0, size - suffix), last: size - 1 }
  }
  const first = Number(from)
  if (to !== '' && Number(to) < first) return 'malformed'
  if (first >= size) return 'outside'
  return { first, last: to === '' ? size - 1 : Math.min(Number(to), size - 1) }
}
