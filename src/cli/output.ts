import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { OutputClosed } from './interruption.ts'

/** Writes data to a stream no faster than it is read. */
export class Output {
  readonly #stream: Writable
  #failure: Error | undefined

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      const isClosed = cause.code === 'EPIPE'
      this.#failure = isClosed ? new OutputClosed('the output was closed', { cause }) : cause
    })
  }

  /** Resolves when more may be written. @throws {OutputClosed} when nobody reads any more */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#stream.write(chunk)) return
    try {
      await once(this.#stream, 'drain')
    } catch (error) {
      throw this.#failure ?? error
    }
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** Resolves when what was written has left the process, or cannot. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#stream.write('', () => resolve())
    })
  }
}
