import { err, ok, type Result } from '../../protocol/result.ts'

const BYTES: ReadonlyMap<string, number> = new Map([
  ['B', 1],
  ['KB', 1e3],
  ['MB', 1e6],
  ['GB', 1e9],
  ['TB', 1e12],
  ['KiB', 2 ** 10],
  ['MiB', 2 ** 20],
  ['GiB', 2 ** 30],
  ['TiB', 2 ** 40],
])

const MILLISECONDS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** @returns bytes of a size such as `256MiB`, `10GB` or `4096` */
export function parseSize(text: string): Result<number> {
  const bytes = parseQuantity(text, BYTES, 1)
  return bytes === undefined ? err('is no size; write 4096, 64KiB, 256MiB or 10GB') : ok(bytes)
}

/** @returns milliseconds of a duration such as `500ms` or `24h` */
export function parseDuration(text: string): Result<number> {
  const milliseconds = parseQuantity(text, MILLISECONDS, undefined)
  return milliseconds === undefined
    ? err('is no duration; write 500ms, 30s, 15m, 24h or 7d')
    : ok(milliseconds)
}

/** The shortest text that `parseSize` reads as `bytes`. */
export function formatSize(bytes: number): string {
  const unit = ['TiB', 'GiB', 'MiB', 'KiB', 'TB', 'GB', 'MB', 'KB'].find((name) =>
    isMultiple(bytes, BYTES.get(name)),
  )
  return unit === undefined ? String(bytes) : `${bytes / (BYTES.get(unit) ?? 1)}${unit}`
}

/** The shortest text that `parseDuration` reads as `milliseconds`; never in days: `24h` is clearer. */
export function formatDuration(milliseconds: number): string {
  const unit = ['h', 'm', 's'].find((name) => isMultiple(milliseconds, MILLISECONDS.get(name)))
  return unit === undefined
    ? `${milliseconds}ms`
    : `${milliseconds / (MILLISECONDS.get(unit) ?? 1)}${unit}`
}

function isMultiple(value: number, of: number | undefined): boolean {
  return of !== undefined && value > 0 && value % of === 0
}

/** @param bare - what a number without a unit counts, or undefined when it needs one */
function parseQuantity(
  text: string,
  units: ReadonlyMap<string, number>,
  bare: number | undefined,
): number | undefined {
  const [, digits = '', unit = ''] =
    /^([0-9]{1,16}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)$/.exec(text) ?? []
  const factor = unit === '' ? bare : units.get(unit)
  const exact = Number(digits) * (factor ?? Number.NaN)
  // 1.1KB is 1100.0000000000002 in binary floating point.
  const amount = Math.round(exact)
  const isWhole = Number.isSafeInteger(amount) && Math.abs(exact - amount) < 1e-6
  return digits !== '' && isWhole ? amount : undefined
}
