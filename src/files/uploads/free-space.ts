import { statfs } from 'node:fs/promises'
import { BrokerError } from '../../protocol/problem.ts'

/** What was measured is believed for this long, less what was taken since. */
const TRUST_MS = 1000

/**
 * Keeps some space free on the device of a volume, so that an upload cannot fill the disk on which the
 * event log lies too.
 */
export class FreeSpace {
  readonly #directory: string
  readonly #reserveBytes: number
  #freeBytes = 0
  #measuredAtMs = Number.NEGATIVE_INFINITY

  /** @param reserveBytes - stays free; 0 leaves it to the file system to say when it is full */
  constructor(directory: string, reserveBytes: number) {
    this.#directory = directory
    this.#reserveBytes = reserveBytes
  }

  /** @throws {BrokerError} `STORAGE_FULL` when `bytes` more would use up what is to stay free */
  async take(bytes: number): Promise<void> {
    if (this.#reserveBytes === 0) return
    const isStale = performance.now() - this.#measuredAtMs > TRUST_MS
    if (isStale || this.#freeBytes - bytes < this.#reserveBytes) await this.#measure()
    if (this.#freeBytes - bytes < this.#reserveBytes) {
      throw new BrokerError('STORAGE_FULL', 'the space that is to stay free would be used up')
    }
    this.#freeBytes -= bytes
  }

  async #measure(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#directory)
    this.#freeBytes = bavail * bsize
    this.#measuredAtMs = performance.now()
  }
}
