import { addAbortSignal, type Readable } from 'node:stream'
import { Interruption } from './interruption.ts'
import { Output } from './output.ts'
import type { Messages, Terminal } from './terminal.ts'

/** The terminal of this process. Parts are set up when they are first asked for. */
export class ProcessTerminal implements Terminal {
  readonly env = process.env
  readonly messages: Messages
  readonly #abort = new AbortController()
  #output: Output | undefined
  #stdin: Readable | undefined
  #listens = false

  constructor() {
    const { stderr, env } = process
    // A message that nobody can read any more is no reason to fail.
    stderr.on('error', () => {})
    this.messages = {
      isInteractive: stderr.isTTY === true && !env['CI'],
      columns: stderr.columns ?? 80,
      write: (text) => void stderr.write(text),
    }
  }

  get signal(): AbortSignal {
    if (!this.#listens) {
      this.#listens = true
      // Once: a second signal ends the process at once.
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.once(name, () => this.#abort.abort(new Interruption(name)))
      }
    }
    return this.#abort.signal
  }

  get stdin(): Readable {
    this.#stdin ??= addAbortSignal(this.signal, process.stdin)
    return this.#stdin
  }

  get output(): Output {
    this.#output ??= new Output(process.stdout)
    return this.#output
  }
}
