import { BrokerError } from '../../protocol/problem.ts'
import type { VolumeLimits } from '../file-policy.ts'
import type { FileUsage } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'

/** By how many bytes an upload makes all files grow, and those of its uploader; negative when they shrink. */
export interface Growth {
  readonly all: number
  readonly own: number
}

export const NO_GROWTH: Growth = { all: 0, own: 0 }

/** Of `size` bytes by `uploader` in the place of `former`, whose bytes are credited. */
export function growthOf(size: number, uploader: string, former: IndexEntry | undefined): Growth {
  const formerBytes = former?.fingerprint.size ?? 0
  const isOwn = former !== undefined && former.uploader === uploader
  return { all: size - formerBytes, own: size - (isOwn ? formerBytes : 0) }
}

/**
 * Bytes that all files together, and those of each uploader, may have. Uploads under way count as what they
 * may become: many at once cannot pass a quota that each of them keeps.
 */
export class Quota {
  readonly #usage: FileUsage
  readonly #limits: Pick<VolumeLimits, 'quotaBytes' | 'userQuotaBytes'>
  #heldBytes = 0
  readonly #heldByUploader = new Map<string, number>()

  constructor(usage: FileUsage, limits: Pick<VolumeLimits, 'quotaBytes' | 'userQuotaBytes'>) {
    this.#usage = usage
    this.#limits = limits
  }

  /** False when there is no quota, and nothing to ask. */
  get isLimited(): boolean {
    const { quotaBytes, userQuotaBytes } = this.#limits
    return Number.isFinite(quotaBytes) || Number.isFinite(userQuotaBytes)
  }

  /** Nothing is held yet. @param isCounted - false for what is never refused */
  hold(uploader: string, isCounted: boolean): HeldGrowth {
    return new HeldGrowth((held, next) => {
      if (isCounted) this.#exchange(uploader, held, next)
    })
  }

  /**
   * Holds `next` instead of `held`. What makes the files no larger is never refused.
   *
   * @throws {BrokerError} `QUOTA_EXCEEDED`, with `held` still held
   */
  #exchange(uploader: string, held: Growth, next: Growth): void {
    const { quotaBytes, userQuotaBytes } = this.#limits
    const heldOfUploader = this.#heldByUploader.get(uploader) ?? 0
    const all = this.#usage.totalBytes + this.#heldBytes - counted(held.all)
    const own = this.#usage.bytesOf(uploader) + heldOfUploader - counted(held.own)
    if (next.own > 0 && own + next.own > userQuotaBytes) {
      throw exceeded('user', `the files of one user may have ${userQuotaBytes} bytes`)
    }
    if (next.all > 0 && all + next.all > quotaBytes) {
      throw exceeded('volume', `all files together may have ${quotaBytes} bytes`)
    }
    this.#heldBytes += counted(next.all) - counted(held.all)
    const rest = heldOfUploader + counted(next.own) - counted(held.own)
    if (rest === 0) this.#heldByUploader.delete(uploader)
    else this.#heldByUploader.set(uploader, rest)
  }
}

/** What one upload holds of the quotas. */
export class HeldGrowth implements Disposable {
  readonly #exchange: (held: Growth, next: Growth) => void
  #held = NO_GROWTH

  constructor(exchange: (held: Growth, next: Growth) => void) {
    this.#exchange = exchange
  }

  /** @throws {BrokerError} `QUOTA_EXCEEDED`, with what was held before */
  set(growth: Growth): void {
    this.#exchange(this.#held, growth)
    this.#held = growth
  }

  [Symbol.dispose](): void {
    this.set(NO_GROWTH)
  }
}

/** What is freed by one upload is not there for others before it is freed. */
function counted(bytes: number): number {
  return Math.max(0, bytes)
}

function exceeded(quota: 'user' | 'volume', detail: string): BrokerError {
  return new BrokerError('QUOTA_EXCEEDED', detail, { fields: { quota } })
}
