/** Time as the watcher sees it, so that tests need not wait for it. */
export interface Timers {
  /** Milliseconds of a clock that never goes back. */
  now(): number
  /** Calls `callback` once, `delayMs` from now, unless it is disposed of before. */
  after(delayMs: number, callback: () => void): Disposable
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}
