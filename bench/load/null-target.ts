import type { NullSender } from '../servers/null-sender.ts'
import type { FanOutTarget } from './fan-out-load.ts'
import { CalledProcess } from './process-calls.ts'

/** Events of one write of the null sender. */
export const TOGETHER = 100

/** The process of the null sender, made ready to be measured as a server. */
export class NullServer implements AsyncDisposable {
  readonly #process: CalledProcess<NullSender>
  readonly #port: number

  private constructor(process: CalledProcess<NullSender>, port: number) {
    this.#process = process
    this.#port = port
  }

  static async start(): Promise<NullServer> {
    const file = new URL('../servers/null-sender.ts', import.meta.url)
    const process = CalledProcess.start<NullSender>(file)
    return new NullServer(process, await process.call('listen', undefined))
  }

  /**
   * @param bytes - of one message
   * @param sentPerGiven - of the server that it is compared with; everybody is given the same here
   */
  toTarget(bytes: number, sentPerGiven = 1): FanOutTarget {
    const port = this.#port
    return {
      pid: this.#process.pid,
      subscribers: [
        { protocol: 'websocket', host: '127.0.0.1', port, path: '/', headers: {}, greetings: [] },
      ],
      sentPerGiven,
      prepare: async (messages) => {
        const given = messages / sentPerGiven
        await this.#process.call('prepare', { messages: given, bytes, together: TOGETHER })
        return () => this.#process.call('send', undefined)
      },
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]()
  }
}
