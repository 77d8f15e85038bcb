import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FilePolicy } from '../file-policy.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { DeleteGuard, FileStore } from '../store/file-store.ts'
import { entriesOf } from '../store/serve-links.ts'

export interface RetentionDeps {
  readonly store: Pick<FileStore, 'delete'>
  readonly index: FileIndex
  readonly policy: FilePolicy
  /** False for what cannot be deleted, whatever the policy says. */
  readonly mayDelete: (path: FilePath) => boolean
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** Deletes under way at once: enough for their commits to share a transaction, few beside uploads. */
const AT_ONCE = 8

/** Deletes files whose content was not written for as long as the policy retains it. */
export class Retention {
  readonly #deps: RetentionDeps

  constructor(deps: RetentionDeps) {
    this.#deps = deps
  }

  /**
   * Looks at every file that was told, a page of the index at a time. One that was changed since it was
   * looked at stays.
   *
   * @returns how many were deleted
   * @throws the first failure, when what can be deleted is; at once when a volume is offline
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { index, policy } = this.#deps
    if (policy.lacks('retainMs')) return 0
    const due = this.#due(entriesOf(index, ''))
    const failures: unknown[] = []
    let deleted = 0
    const worker = async () => {
      for await (const entry of due) {
        if (signal.aborted || failures.some(isOffline)) return
        const isDeleted = await this.#delete(entry).catch((error: unknown) => {
          failures.push(error)
          return false
        })
        if (isDeleted) deleted += 1
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    if (failures.length > 0) throw failures[0]
    return deleted
  }

  async *#due(entries: AsyncIterable<IndexEntry>): AsyncGenerator<IndexEntry> {
    const { policy, mayDelete, now = Date.now } = this.#deps
    for await (const entry of entries) {
      const retainMs = policy.of('retainMs', entry.path) ?? Number.POSITIVE_INFINITY
      if (writtenMs(entry) + retainMs <= now() && mayDelete(entry.path)) yield entry
    }
  }

  async #delete(entry: IndexEntry): Promise<boolean> {
    const guard: DeleteGuard = ({ sha256, modifiedMs }, isOnDisk) => {
      // What was refused is not what the entry tells of, and may be new.
      const isSame = isOnDisk && sha256 === entry.sha256 && modifiedMs === writtenMs(entry)
      if (!isSame) throw new BrokerError('PRECONDITION_FAILED', 'the file was changed')
    }
    try {
      return (await this.#deps.store.delete(entry.path, guard)) !== undefined
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'PRECONDITION_FAILED') return false
      throw error
    }
  }
}

function isOffline(error: unknown): boolean {
  return error instanceof BrokerError && error.code === 'UNAVAILABLE'
}

function writtenMs({ fingerprint }: IndexEntry): number {
  return Number(fingerprint.mtimeNs / 1_000_000n)
}
