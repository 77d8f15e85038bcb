import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** What a process of the bench can be asked for; arguments and results are copied between processes. */
export type Calls = Readonly<Record<string, (argument: never) => unknown>>

interface Question {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

interface Waiting {
  resolve(result: unknown): void
  reject(error: Error): void
}

/** A load generator or a server of the bench in a process of its own, asked by name. */
export class CalledProcess<Api extends Calls> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`a process of the bench ended (${signal ?? code})`))
      }
    })
  }

  /** Starts `file`, which calls `answerCalls`. */
  static start<Api extends Calls>(
    file: URL,
    env: Readonly<Record<string, string>> = {},
  ): CalledProcess<Api> {
    const options = { serialization: 'advanced', env: { ...process.env, ...env } } as const
    return new CalledProcess<Api>(fork(file, options))
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  call<Name extends keyof Api & string>(
    name: Name,
    argument: Parameters<Api[Name]>[0],
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<Api[Name]>>>()
    this.#waiting.set(id, {
      resolve: (result) => resolve(result as Awaited<ReturnType<Api[Name]>>),
      reject,
    })
    const question: Question = { id, name, argument }
    this.#child.send(question)
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** Makes this process one that answers to `api`, until its parent is gone. */
export function answerCalls(api: Calls): void {
  process.on('message', async ({ id, name, argument }: Question) => {
    const answer = (rest: Omit<Answer, 'id'>) => process.send?.({ id, ...rest })
    try {
      answer({ result: await api[name]?.(argument as never) })
    } catch (error) {
      answer({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  process.on('disconnect', () => process.exit(0))
}
