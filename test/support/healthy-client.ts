import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { TestContext } from 'node:test'
import { answerOf } from './front.ts'

/** A client that does nothing wrong, on connections and from an address of its own, while others attack. */
export class HealthyClient {
  readonly #ports: readonly number[]
  readonly #token: string
  /** How long each request took, in milliseconds. */
  #durations: number[] = []

  /** @param ports - where it asks in turn */
  constructor(ports: readonly number[], token: string) {
    this.#ports = ports
    this.#token = token
  }

  /**
   * Publishes for as long as `attack` goes on, and once after it; every one must be accepted. How long they
   * took is told, and nothing is demanded of it: other tests run beside this one.
   */
  async during<T>(t: TestContext, attack: () => Promise<T>): Promise<T> {
    this.#durations = []
    let isOver = false
    const asking = (async () => {
      while (!isOver) await this.ask()
    })()
    try {
      return await Promise.race([attack(), asking.then(() => attackGoesOn())])
    } finally {
      isOver = true
      await asking
      await this.ask()
      const [count, p50, p99] = [
        this.#durations.length,
        this.#percentile(0.5),
        this.#percentile(0.99),
      ]
      t.diagnostic(`${count} requests of a healthy client meanwhile: p50 ${p50} ms, p99 ${p99} ms`)
    }
  }

  #percentile(share: number): string | undefined {
    const sorted = this.#durations.toSorted((a, b) => a - b)
    return sorted[Math.ceil(share * sorted.length) - 1]?.toFixed(1)
  }

  async ask(): Promise<void> {
    for (const port of this.#ports) {
      const headers = { authorization: `Bearer ${this.#token}` }
      const options = { method: 'POST', path: '/events/ci/jenkins/healthy', headers, agent: false }
      const from = performance.now()
      const sent = request({ port, host: '127.0.0.1', localAddress: '127.0.0.9', ...options })
      const answer = await answerOf(sent.end('"well"'))
      this.#durations.push(performance.now() - from)
      assert.equal(answer.status, 201, answer.body)
    }
  }
}

/** The client ends before the attack only by failing, which the race has told. */
function attackGoesOn(): Promise<never> {
  return new Promise(() => {})
}
