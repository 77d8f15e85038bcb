import assert from 'node:assert/strict'
import { request } from 'node:http'
import { answerOf } from './front.ts'

/** A client that does nothing wrong, on connections and from an address of its own, while others attack. */
export class HealthyClient {
  readonly #ports: readonly number[]
  readonly #token: string

  /** @param ports - where it asks in turn */
  constructor(ports: readonly number[], token: string) {
    this.#ports = ports
    this.#token = token
  }

  /** Publishes for as long as `attack` goes on, and once after it; every one must be accepted. */
  async during<T>(attack: () => Promise<T>): Promise<T> {
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
    }
  }

  async ask(): Promise<void> {
    for (const port of this.#ports) {
      const headers = { authorization: `Bearer ${this.#token}` }
      const options = { method: 'POST', path: '/events/ci/jenkins/healthy', headers, agent: false }
      const sent = request({ port, host: '127.0.0.1', localAddress: '127.0.0.9', ...options })
      const answer = await answerOf(sent.end('"well"'))
      assert.equal(answer.status, 201, answer.body)
    }
  }
}

/** The client ends before the attack only by failing, which the race has told. */
function attackGoesOn(): Promise<never> {
  return new Promise(() => {})
}
