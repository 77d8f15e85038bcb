import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { VolumeLimits } from '../file-policy.ts'
import type { FileIndex, IndexEntry } from '../index/file-index.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { systemTimers, type Timers } from '../watch/watch-timers.ts'
import { FreeSpace, freeBytesAt } from './free-space.ts'
import { growthOf, Quota } from './quota.ts'
import { steadyBody } from './steady-body.ts'
import { UploadShare } from './upload-share.ts'

/** An upload as it is announced. */
export interface AnnouncedUpload {
  readonly path: FilePath
  /** `''` for anonymous. */
  readonly uploader: string
  /** Undefined when the sender does not say it. */
  readonly size?: number | undefined
}

export interface UploadLimitsDeps {
  readonly volumes: Volumes
  readonly index: FileIndex
  readonly limits: VolumeLimits
  readonly timers?: Timers
}

const RETRY_AFTER_SECONDS = 1

/** What the limits of a volume leave to uploads, those under way taken into account. */
export class UploadLimits {
  readonly #index: FileIndex
  readonly #limits: VolumeLimits
  readonly #timers: Timers
  readonly #quota: Quota
  readonly #space: ReadonlyMap<Volume, FreeSpace>
  #receiving = 0

  constructor({ volumes, index, limits, timers = systemTimers }: UploadLimitsDeps) {
    this.#index = index
    this.#limits = limits
    this.#timers = timers
    this.#quota = new Quota(index.usage, limits)
    const spaceOf = ({ stateDirectory }: Volume) =>
      new FreeSpace(() => freeBytesAt(stateDirectory), limits.freeBytes)
    this.#space = new Map(volumes.all.map((volume) => [volume, spaceOf(volume)]))
  }

  /**
   * Refuses an upload that would be refused now, whatever its body is.
   *
   * @throws {BrokerError} `TOO_MANY_REQUESTS`, `QUOTA_EXCEEDED`, `STORAGE_FULL`
   */
  async admit(volume: Volume, upload: AnnouncedUpload): Promise<void> {
    this.#requirePlace()
    const { uploader, size = 0 } = upload
    const former = await this.#formerOf(volume, upload)
    await this.#space.get(volume)?.require(size)
    // Held for no longer than this step: a question takes nothing from others.
    using growth = this.#quota.hold(uploader, isCounted(volume))
    growth.set(growthOf(size, uploader, former))
  }

  /** Takes what an upload needs, and refuses as `admit` does. The caller disposes of it. */
  async begin(volume: Volume, upload: AnnouncedUpload): Promise<UploadShare> {
    this.#requirePlace()
    this.#receiving += 1
    using receiving = new DisposableStack()
    receiving.defer(() => {
      this.#receiving -= 1
    })
    const { uploader, size = 0 } = upload
    using held = new DisposableStack()
    const growth = held.use(this.#quota.hold(uploader, isCounted(volume)))
    const former = await this.#formerOf(volume, upload)
    growth.set(growthOf(size, uploader, former))
    const space = this.#space.get(volume)
    const promise = space && receiving.use(await space.promise(size))
    const parts = { growth, former, promise, receiving: receiving.move(), held: held.move() }
    return new UploadShare(uploader, size, parts)
  }

  /** Of a body that is received with that share. */
  steady(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return steadyBody(content, this.#limits.slowestUpload, this.#timers)
  }

  #requirePlace(): void {
    if (this.#receiving < this.#limits.uploadsAtOnce) return
    const fields = { retryAfterSeconds: RETRY_AFTER_SECONDS }
    throw new BrokerError('TOO_MANY_REQUESTS', 'too many uploads are under way', { fields })
  }

  async #formerOf(volume: Volume, { path }: AnnouncedUpload): Promise<IndexEntry | undefined> {
    return isCounted(volume) && this.#quota.isLimited ? this.#index.get(path) : undefined
  }
}

/** A single served file is the operator's own; it must be possible to replace it when all else is full. */
function isCounted(volume: Volume): boolean {
  return volume.only === undefined
}
