import type { Timers } from '../../src/files/watch/watch-timers.ts'

/** Time that passes when a test says so. */
export class FakeTimers implements Timers {
  #nowMs = 0
  #pending: { readonly atMs: number; readonly callback: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): Disposable {
    const entry = { atMs: this.#nowMs + delayMs, callback }
    this.#pending.push(entry)
    return {
      [Symbol.dispose]: () => {
        this.#pending = this.#pending.filter((other) => other !== entry)
      },
    }
  }

  /** Lets time pass, and everything that falls due in it happen in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      const [next] = this.#pending.toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined || next.atMs > untilMs) break
      this.#pending = this.#pending.filter((other) => other !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
    }
    this.#nowMs = untilMs
  }
}
