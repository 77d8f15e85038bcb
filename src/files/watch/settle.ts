import type { FilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'
import type { Timers } from './watch-timers.ts'

/** How a change will be told; `silent` is the first index of a volume, which tells nothing. */
export type HintOrigin = 'disk' | 'offline' | 'silent'

/** A path that may have changed. */
export interface PathHint {
  readonly path: FilePath
  readonly origin: HintOrigin
  /** Somebody was seen to touch it while the broker runs, rather than a scan found it. */
  readonly isEvent: boolean
  /** What was there at the last look; null when there was no regular file. */
  readonly seen: Fingerprint | null
}

/** A path that may have changed and must first be quiet for a while. */
export interface Unsettled extends PathHint {
  /** When it was first hinted at, by the clock of the timers. */
  readonly sinceMs: number
  readonly dueMs: number
  /** Ended when the path has been dealt with. */
  readonly tickets: readonly number[]
}

export interface SettleOptions {
  /** How long a path must be quiet. */
  readonly settleMs: number
  /** After which it is due although it is not quiet. */
  readonly longestMs: number
  readonly timers: Timers
  /** Called when `takeDue` has something to give. */
  readonly onDue: () => void
}

/** A file that changes without pause and without events is looked at no more often than this. */
const SHORTEST_REPEAT_MS = 10

/**
 * Paths that wait to be quiet. Every hint starts the wait of its path anew, until the longest wait is
 * over. All wait equally long, so the order of the map is the order in which they are due.
 */
export class Settle implements Disposable {
  readonly #options: SettleOptions
  readonly #waiting = new Map<FilePath, Unsettled>()
  #timer: Disposable | undefined
  #closed = false

  constructor(options: SettleOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** All that wait, the first due first. */
  waiting(): Iterable<Unsettled> {
    return this.#waiting.values()
  }

  /** @param begin - gives the ticket of a path that does not wait already */
  push(hint: PathHint, begin: () => number): void {
    const { settleMs, timers } = this.#options
    const now = timers.now()
    const before = this.#waiting.get(hint.path)
    // A scan that finds what is known to wait is no sign that it moved: the two ends of a rename, found by
    // different scans, stay due together.
    if (before !== undefined && !hint.isEvent && isSameLook(before.seen, hint.seen)) return
    const sinceMs = before?.sinceMs ?? now
    this.#put({
      ...merged(hint, before),
      seen: hint.seen,
      sinceMs,
      dueMs: this.#dueAt(sinceMs, now + settleMs, before),
      tickets: before?.tickets ?? [begin()],
    })
  }

  /** Puts back what was taken because it is still moving; it keeps its age. */
  again(entry: Unsettled, seen: Fingerprint | null): void {
    const { settleMs, timers } = this.#options
    const before = this.#waiting.get(entry.path)
    this.#put({
      ...merged(before ?? entry, entry),
      sinceMs: entry.sinceMs,
      seen: before?.seen ?? seen,
      dueMs: before?.dueMs ?? timers.now() + Math.max(settleMs, SHORTEST_REPEAT_MS),
      tickets: [...entry.tickets, ...(before?.tickets ?? [])],
    })
  }

  /** Starts the wait of `path` anew, to be due right after what was put back last. */
  delay(path: FilePath): void {
    const { settleMs, timers } = this.#options
    const entry = this.#waiting.get(path)
    if (entry === undefined || this.isOverdue(entry)) return
    this.#waiting.delete(path)
    this.#put({ ...entry, dueMs: timers.now() + Math.max(settleMs, SHORTEST_REPEAT_MS) })
  }

  /** True when `entry` has waited so long that it is told as it is. */
  isOverdue(entry: Unsettled): boolean {
    return this.#options.timers.now() - entry.sinceMs >= this.#options.longestMs
  }

  /** Takes at most `limit` paths that are due, the longest due first. */
  takeDue(limit: number): readonly Unsettled[] {
    const now = this.#options.timers.now()
    const due: Unsettled[] = []
    for (const entry of this.#waiting.values()) {
      if (entry.dueMs > now || due.length >= limit) break
      due.push(entry)
    }
    for (const { path } of due) this.#waiting.delete(path)
    this.#arm()
    return due
  }

  /** Forgets all that waits. */
  [Symbol.dispose](): void {
    this.#closed = true
    this.#waiting.clear()
    this.#timer?.[Symbol.dispose]()
  }

  #dueAt(sinceMs: number, wantedMs: number, before: Unsettled | undefined): number {
    const latestMs = sinceMs + this.#options.longestMs
    return before !== undefined && wantedMs > latestMs ? before.dueMs : wantedMs
  }

  #put(entry: Unsettled): void {
    if (this.#closed) return
    // One that keeps its time keeps its place, too.
    if (this.#waiting.get(entry.path)?.dueMs !== entry.dueMs) this.#waiting.delete(entry.path)
    this.#waiting.set(entry.path, entry)
    if (this.#timer === undefined) this.#arm()
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
    const [first] = this.#waiting.values()
    if (first === undefined || this.#closed) return
    const delayMs = Math.max(0, first.dueMs - this.#options.timers.now())
    this.#timer = this.#options.timers.after(delayMs, () => {
      this.#timer = undefined
      this.#options.onDue()
    })
  }
}

/** True when two looks at a path saw the same file, or none. */
function isSameLook(a: Fingerprint | null, b: Fingerprint | null): boolean {
  return a === null || b === null ? a === b : sameFingerprint(a, b)
}

/** What is seen to be touched while the broker runs was changed then, whatever a scan takes it for. */
function merged(hint: PathHint, before: PathHint | undefined): Omit<PathHint, 'seen'> {
  const { path, origin, isEvent } = hint
  if (before === undefined || (isEvent && !before.isEvent)) return { path, origin, isEvent }
  return { path, origin: before.origin, isEvent: before.isEvent }
}
