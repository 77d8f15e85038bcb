import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { PROGRAM_PATH } from '../measure/machine.ts'

/** A server that the bench measures: a process with a directory of its own, which go together. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #kill = () => this.#child.kill('SIGKILL')
  readonly directory: string

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child
    this.directory = directory
    // A bench that fails must not leave its servers behind.
    process.on('exit', this.#kill)
  }

  /** Starts a command whose output goes to `<directory>/output.log`, as to a journal. */
  static async start(
    directory: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const child = spawn(command, args, {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: PROGRAM_PATH, ...env },
    })
    const output = createWriteStream(join(directory, 'output.log'))
    child.stdout.pipe(output, { end: false })
    child.stderr.pipe(output, { end: false })
    await once(child, 'spawn')
    return new ServerProcess(child, directory)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Asks again and again until there is an answer. */
  async ready<Answer>(look: () => Promise<Answer | undefined>): Promise<Answer> {
    for (let tries = 0; tries < 500; tries += 1) {
      if (this.#child.exitCode !== null) {
        throw new Error(
          `a server ended with ${this.#child.exitCode}: see ${this.directory}/output.log`,
        )
      }
      const answer = await look().catch(() => undefined)
      if (answer !== undefined) return answer
      await delay(20)
    }
    throw new Error(`a server did not start: see ${this.directory}/output.log`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      const timer = setTimeout(this.#kill, 5000)
      await exited
      clearTimeout(timer)
    }
    process.off('exit', this.#kill)
    await removeDirectory(this.directory)
  }
}

export function serverDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'broker-bench-'))
}

export function removeDirectory(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true })
}
