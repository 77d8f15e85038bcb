const FIRST_CEILING_MS = 250
const LAST_CEILING_MS = 30_000

/**
 * How long to wait before another attempt. All of it is random ("full jitter"), so that clients which lost
 * the same broker do not come back at once.
 *
 * @param attempt - how many attempts have failed, from 1
 * @returns milliseconds, from 0 to a ceiling that doubles from 250 ms to 30 s
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LAST_CEILING_MS, FIRST_CEILING_MS * 2 ** (attempt - 1))
  return Math.round(random() * ceiling)
}
