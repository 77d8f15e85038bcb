import { statfs } from 'node:fs/promises'
import { BrokerError } from '../../protocol/problem.ts'

/** What was measured is believed for this long, less what was taken since. */
const TRUST_MS = 1000

/**
 * Keeps some space free on the device of a volume, so that uploads cannot fill the disk on which the event
 * log lies too. What is promised to uploads under way counts as taken.
 */
export class FreeSpace {
  readonly #measureFree: () => Promise<number>
  readonly #reserveBytes: number
  #freeBytes = 0
  #promisedBytes = 0
  #measuredAtMs = Number.NEGATIVE_INFINITY

  /**
   * @param measureFree - asks the device for its free bytes
   * @param reserveBytes - stays free; 0 leaves it to the file system to say when it is full
   */
  constructor(measureFree: () => Promise<number>, reserveBytes: number) {
    this.#measureFree = measureFree
    this.#reserveBytes = reserveBytes
  }

  /** @throws {BrokerError} `STORAGE_FULL` when `bytes` could not be promised */
  async require(bytes: number): Promise<void> {
    await this.#reserve(bytes, true, () => undefined)
  }

  /** Keeps `bytes` for whoever disposes of the promise. @throws {BrokerError} `STORAGE_FULL` */
  async promise(bytes: number): Promise<SpacePromise> {
    let leftBytes = 0
    const keep = (part: number) => {
      leftBytes += part
      this.#promisedBytes += part
    }
    await this.#reserve(bytes, true, () => keep(bytes))
    return {
      take: async (taken) => {
        const kept = Math.min(taken, leftBytes)
        keep(-kept)
        // Who has a promise is refused only when the disk was filled by somebody else.
        await this.#reserve(taken, kept < taken, () => {
          this.#freeBytes -= taken
        })
      },
      [Symbol.dispose]: () => keep(-leftBytes),
    }
  }

  /**
   * @param isShort - true when what is promised to others is not there
   * @param reserved - called in the step that looks, so that of two only one is told that there is enough
   */
  async #reserve(bytes: number, isShort: boolean, reserved: () => void): Promise<void> {
    if (this.#reserveBytes > 0) {
      const isEnough = () => {
        const promised = isShort ? this.#promisedBytes : 0
        return this.#freeBytes - promised - bytes >= this.#reserveBytes
      }
      const isStale = performance.now() - this.#measuredAtMs > TRUST_MS
      if (isStale || !isEnough()) await this.#measure()
      if (!isEnough()) {
        const detail = `less than ${inMebibytes(this.#reserveBytes)} would stay free on the disk`
        throw new BrokerError('STORAGE_FULL', detail)
      }
    }
    reserved()
  }

  async #measure(): Promise<void> {
    this.#freeBytes = await this.#measureFree()
    this.#measuredAtMs = performance.now()
  }
}

export function inMebibytes(bytes: number): string {
  return `${Number((bytes / 2 ** 20).toFixed(2))} MiB`
}

/** Bytes that are free on the device of a directory. */
export async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** Room for one upload; disposing of it gives back what was not taken. */
export interface SpacePromise extends Disposable {
  /** Asked before each write. @throws {BrokerError} `STORAGE_FULL` */
  take(bytes: number): Promise<void>
}
