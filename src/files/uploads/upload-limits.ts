import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { VolumeLimits } from '../file-policy.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import { systemTimers, type Timers } from '../watch/watch-timers.ts'
import { FreeSpace, freeBytesAt, type SpacePromise } from './free-space.ts'
import { Quota } from './quota.ts'
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

/** A place among the bodies that come at once, and room on the disk. */
export type Reception = SpacePromise

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
    await this.#space.get(volume)?.require(upload.size ?? 0)
    // Held for no longer than this step: a question takes nothing from others.
    using _share = await this.hold(volume, upload)
  }

  /**
   * Takes of the quotas what a content may become. The caller disposes of it.
   *
   * @throws {BrokerError} `QUOTA_EXCEEDED`
   */
  async hold(volume: Volume, { path, uploader, size = 0 }: AnnouncedUpload): Promise<UploadShare> {
    const isLimited = isCounted(volume) && this.#quota.isLimited
    const former = isLimited ? await this.#index.get(path) : undefined
    const share = new UploadShare(uploader, this.#quota.hold(uploader, isCounted(volume)), former)
    share.expect(size)
    return share
  }

  /**
   * Takes what is needed while a body comes. The caller disposes of it.
   *
   * @param announcedBytes - of the body; 0 when its sender does not say it
   * @throws {BrokerError} `TOO_MANY_REQUESTS`, `STORAGE_FULL`
   */
  async receive(volume: Volume, announcedBytes: number): Promise<Reception> {
    this.#requirePlace()
    using held = new DisposableStack()
    this.#receiving += 1
    held.defer(() => {
      this.#receiving -= 1
    })
    const space = this.#space.get(volume)
    const promise = space && held.use(await space.promise(announcedBytes))
    const kept = held.move()
    return {
      take: async (bytes) => promise?.take(bytes),
      [Symbol.dispose]: () => kept.dispose(),
    }
  }

  /** Of a body that is received. */
  steady(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return steadyBody(content, this.#limits.slowestUpload, this.#timers)
  }

  #requirePlace(): void {
    if (this.#receiving < this.#limits.uploadsAtOnce) return
    const fields = { retryAfterSeconds: RETRY_AFTER_SECONDS }
    throw new BrokerError('TOO_MANY_REQUESTS', 'too many uploads are under way', { fields })
  }
}

/** A single served file is the operator's own; it must be possible to replace it when all else is full. */
function isCounted(volume: Volume): boolean {
  return volume.only === undefined
}
