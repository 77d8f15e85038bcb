import { BrokerError } from '../../protocol/problem.ts'
import type { Timers } from '../watch/watch-timers.ts'

/** A body is judged each time this has passed, by what came of it meanwhile. */
const JUDGED_MS = 10_000

/**
 * A body whose sender must keep up a speed, so that nobody holds a place among uploads with a trickle. Only
 * time in which it was waited for counts: a slow disk of ours is not held against the sender.
 *
 * @param bytesPerSecond - averaged over 10 seconds; 0 for no limit
 * @returns fails with {BrokerError} `REQUEST_TIMEOUT`, also while nothing comes at all
 */
export function steadyBody(
  content: AsyncIterable<Uint8Array>,
  bytesPerSecond: number,
  timers: Timers,
): AsyncIterable<Uint8Array> {
  if (bytesPerSecond === 0) return content
  return {
    [Symbol.asyncIterator]: () =>
      new SteadyIterator(content[Symbol.asyncIterator](), bytesPerSecond, timers),
  }
}

/** An iterator of its own, since a generator that waits cannot be called back. */
class SteadyIterator implements AsyncIterator<Uint8Array> {
  readonly #inner: AsyncIterator<Uint8Array>
  readonly #bytesPerSecond: number
  readonly #timers: Timers
  #timer: Disposable | undefined
  #bytes = 0
  #waitedMs = 0
  #waitsSinceMs: number | undefined
  #reject: (error: Error) => void = () => undefined
  #failure: BrokerError | undefined

  constructor(inner: AsyncIterator<Uint8Array>, bytesPerSecond: number, timers: Timers) {
    this.#inner = inner
    this.#bytesPerSecond = bytesPerSecond
    this.#timers = timers
    this.#judgeLater()
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#waitsSinceMs = this.#timers.now()
    return new Promise((resolve, reject) => {
      this.#reject = reject
      this.#inner.next().then(
        (result) => {
          this.#waitedMs += this.#waitingMs()
          this.#waitsSinceMs = undefined
          if (result.done === true) this.#timer?.[Symbol.dispose]()
          else this.#bytes += result.value.byteLength
          resolve(result)
        },
        (error: Error) => {
          this.#timer?.[Symbol.dispose]()
          reject(error)
        },
      )
    })
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    this.#timer?.[Symbol.dispose]()
    // Not waited for: it comes only when the sender does.
    this.#inner.return?.().catch(() => undefined)
    return Promise.resolve({ done: true, value: undefined })
  }

  #judgeLater(): void {
    this.#timer = this.#timers.after(JUDGED_MS, () => this.#judge())
  }

  #judge(): void {
    const waitedMs = this.#waitedMs + this.#waitingMs()
    if (this.#bytes < (this.#bytesPerSecond * waitedMs) / 1000) {
      const detail = `a body must come with ${this.#bytesPerSecond} bytes a second`
      this.#failure = new BrokerError('REQUEST_TIMEOUT', detail)
      this.#reject(this.#failure)
      void this.return()
      return
    }
    this.#bytes = 0
    this.#waitedMs = 0
    if (this.#waitsSinceMs !== undefined) this.#waitsSinceMs = this.#timers.now()
    this.#judgeLater()
  }

  #waitingMs(): number {
    return this.#waitsSinceMs === undefined ? 0 : this.#timers.now() - this.#waitsSinceMs
  }
}
