import { monotonicFactory } from 'ulid'

const POOL_BYTES = 4096

/**
 * Makes ULIDs, each greater than the one before. They count up within a millisecond, and a new one starts
 * from random bytes that were drawn in bulk: `ulid` by itself asks the system for each of its 16 digits,
 * which was a tenth of the cost of a publish.
 */
export function idFactory(): () => string {
  const pool = new Uint8Array(POOL_BYTES)
  let used = POOL_BYTES
  const newId = monotonicFactory(() => {
    if (used === POOL_BYTES) {
      crypto.getRandomValues(pool)
      used = 0
    }
    const byte = pool[used] ?? 0
    used += 1
    return byte / 256
  })
  return () => newId()
}
