import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Debian's Python, for which python3-zmq is packaged. */
export const PYTHON = '/usr/bin/python3'

/** Why tests with Python clients cannot run here, for the `skip` of a test; false when they can. */
export const PYZMQ_MISSING: string | false =
  spawnSync(PYTHON, ['-c', 'import zmq']).status === 0
    ? false
    : 'pyzmq is not installed (Debian: apt-get install python3-zmq)'

/** A Python program that runs until it is disposed of, seen by the lines that it prints. */
export class PythonProcess implements Disposable {
  readonly lines: string[] = []
  readonly #child: ChildProcess
  #changed = Promise.withResolvers<void>()

  constructor(script: string, args: readonly string[], env: NodeJS.ProcessEnv) {
    const child = spawn(PYTHON, [script, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line)
      this.#announce()
    })
    child.once('exit', () => this.#announce())
  }

  /** Resolves with the first line, printed already or later, of which `isWanted` is true. */
  async wait(isWanted: (line: string) => boolean): Promise<string> {
    for (;;) {
      const found = this.lines.find(isWanted)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null) throw new Error('the Python program ended')
      await this.#changed.promise
    }
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }

  #announce(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}
