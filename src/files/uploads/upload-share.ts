import type { IndexEntry } from '../index/index-entry.ts'
import { growthOf, type HeldGrowth, NO_GROWTH } from './quota.ts'

/** What one content holds of the quotas, from when it is announced until the index counts it. */
export class UploadShare implements Disposable {
  /** `''` for anonymous. */
  readonly uploader: string
  readonly #growth: HeldGrowth
  /** What it replaces, as far as that was known when it was announced. */
  readonly #former: IndexEntry | undefined
  #expectedBytes = 0
  #takenBytes = 0

  constructor(uploader: string, growth: HeldGrowth, former: IndexEntry | undefined) {
    this.uploader = uploader
    this.#growth = growth
    this.#former = former
  }

  /** It will have so many bytes. @throws {BrokerError} `QUOTA_EXCEEDED` */
  expect(bytes: number): void {
    this.#growth.set(growthOf(bytes, this.uploader, this.#former))
    this.#expectedBytes = bytes
  }

  /** So many have come of a content that has no stated length. @throws {BrokerError} `QUOTA_EXCEEDED` */
  take(bytes: number): void {
    this.#takenBytes += bytes
    if (this.#takenBytes > this.#expectedBytes) this.expect(this.#takenBytes)
  }

  /**
   * With the lock of the path held: what will be written, in the place of what is there now.
   *
   * @param bytes - undefined when nothing will, for the same content is there
   * @throws {BrokerError} `QUOTA_EXCEEDED`
   */
  settle(bytes: number | undefined, former: IndexEntry | undefined): void {
    this.#growth.set(bytes === undefined ? NO_GROWTH : growthOf(bytes, this.uploader, former))
  }

  [Symbol.dispose](): void {
    this.#growth[Symbol.dispose]()
  }
}
