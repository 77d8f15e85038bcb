/** The ceiling of whatever hashes on one core: SHA-256 of blocks in memory, as large as those of the broker. */
import { createHash, randomBytes } from 'node:crypto'
import { answerCalls } from '../load/process-calls.ts'
import { clockMs } from '../measure/clock.ts'

const BLOCK = randomBytes(256 * 1024)

const api = {
  /** @returns seconds */
  hash(bytes: number): number {
    const startedMs = clockMs()
    const hash = createHash('sha256')
    for (let done = 0; done < bytes; done += BLOCK.length) hash.update(BLOCK)
    hash.digest()
    return (clockMs() - startedMs) / 1000
  },
}

/** What the process can be asked for. */
export type HashAlone = typeof api

answerCalls(api)
