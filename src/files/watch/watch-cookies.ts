import { mkdirSync, readdirSync, realpathSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMissing } from '../store/storage-fault.ts'
import type { DirectoryWatches } from './watch-directories.ts'

/**
 * Files made to be seen: the system queues the events of all directories in one order, so when the event
 * of a cookie comes, every event before it has come. They lie in a directory of their own, watched by the
 * same thread.
 */
export class WatchCookies {
  readonly #waiting = new Map<string, () => void>()
  #directory: string | undefined
  #isWatched = false

  /** True for the directory in which cookies appear. */
  isIn(directory: string): boolean {
    return directory === this.#directory
  }

  /** Makes the directory, removes what a killed process left there, and has it watched. */
  async watch(directory: string, watches: DirectoryWatches): Promise<void> {
    if (this.#isWatched) return
    mkdirSync(directory, { recursive: true })
    const real = realpathSync(directory)
    for (const left of readdirSync(real)) removeFile(join(real, left))
    this.#directory = real
    this.#isWatched = (await watches.add([real])).size === 0
  }

  /** Its watch has ended: nothing can be seen until it is watched again. */
  lose(): void {
    this.#isWatched = false
  }

  /** @throws when cookies cannot be seen */
  place(id: number, onSeen: () => void): void {
    if (this.#directory === undefined || !this.#isWatched) {
      throw new Error('the directory of cookies is not watched')
    }
    this.#waiting.set(String(id), onSeen)
    writeFileSync(join(this.#directory, String(id)), '')
  }

  /** Takes a cookie that was seen. @returns what to call when all before it has been dealt with */
  take(name: string): (() => void) | undefined {
    const onSeen = this.#waiting.get(name)
    if (onSeen === undefined || this.#directory === undefined) return undefined
    this.#waiting.delete(name)
    removeFile(join(this.#directory, name))
    return onSeen
  }

  /** Takes all that are out. */
  takeAll(): readonly (() => void)[] {
    return [...this.#waiting.keys()].flatMap((name) => this.take(name) ?? [])
  }
}

function removeFile(file: string): void {
  try {
    unlinkSync(file)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
