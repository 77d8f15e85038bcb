import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { OutputClosed } from './interruption.ts'

/** Writes data to a stream no faster than it is read. */
export class Output {
  readonly #stream: Writable
  #failure: Error | undefined

  /** @param onClosed - told when nobody reads any more, since a command that waits would not notice */
  constructor(stream: Writable, onClosed: (reason: OutputClosed) => void) {
    this.#stream = stream
    stream.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EPIPE') {
        this.#failure = cause
        return
      }
      const closed = new OutputClosed('the output was closed', { cause })
      this.#failure = closed
      onClosed(closed)
    })
  }

  /** Resolves when more may be written. */
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
