import type { IndexEntry } from '../index/file-index.ts'
import type { SpacePromise } from './free-space.ts'
import { growthOf, type HeldGrowth, NO_GROWTH } from './quota.ts'

interface ShareParts {
  readonly growth: HeldGrowth
  /** What the upload replaces, as of its begin. */
  readonly former: IndexEntry | undefined
  readonly promise: SpacePromise | undefined
  /** What is needed only while the body comes. */
  readonly receiving: DisposableStack
  /** What is needed until the index counts the upload. */
  readonly held: DisposableStack
}

/** What one upload holds of the limits: a place and room while it is received, quota until it is counted. */
export class UploadShare implements Disposable {
  readonly uploader: string
  readonly #announcedBytes: number
  readonly #parts: ShareParts
  #takenBytes = 0

  constructor(uploader: string, announcedBytes: number, parts: ShareParts) {
    this.uploader = uploader
    this.#announcedBytes = announcedBytes
    this.#parts = parts
  }

  /** Asked before each write. @throws {BrokerError} `QUOTA_EXCEEDED`, `STORAGE_FULL` */
  async take(bytes: number): Promise<void> {
    const { growth, former, promise } = this.#parts
    this.#takenBytes += bytes
    if (this.#takenBytes > this.#announcedBytes) {
      growth.set(growthOf(this.#takenBytes, this.uploader, former))
    }
    await promise?.take(bytes)
  }

  /** The body is here: others may come. */
  received(): void {
    this.#parts.receiving.dispose()
  }

  /**
   * With the lock of the path held: what will be written, in the place of what is there now.
   *
   * @param bytes - undefined when nothing will, for the same content is there
   * @throws {BrokerError} `QUOTA_EXCEEDED`
   */
  settle(bytes: number | undefined, former: IndexEntry | undefined): void {
    const { growth } = this.#parts
    growth.set(bytes === undefined ? NO_GROWTH : growthOf(bytes, this.uploader, former))
  }

  [Symbol.dispose](): void {
    this.received()
    this.#parts.held.dispose()
  }
}
