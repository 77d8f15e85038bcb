import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { BrokerError } from '../../protocol/problem.ts'
import { err, ok, type Result } from '../../protocol/result.ts'
import type { ContentFault } from '../file-change.ts'
import { WorkSlots } from '../work-slots.ts'

export interface SchemaText {
  readonly file: string
  readonly text: string
}

export interface SchemaQuestion {
  /** The file it was read from. */
  readonly schema: string
  readonly bytes: Uint8Array
  /** A document on each line. */
  readonly isLines: boolean
}

/** A thread that would need more is ended; parsed JSON takes some ten times its bytes. */
const THREAD_MB = 512

/**
 * Judges contents by JSON Schemas, on a thread of its own: a large document, or a regular expression that
 * does not come to an end, holds up nobody but those who wait for a judgement too.
 */
export class SchemaCheck implements AsyncDisposable {
  readonly #schemas: readonly SchemaText[]
  readonly #turns = new WorkSlots(1)
  #thread: Worker | undefined
  #isClosed = false

  private constructor(schemas: readonly SchemaText[], thread: Worker | undefined) {
    this.#schemas = schemas
    this.#thread = thread
  }

  /** @returns what judges by the schemas in `files`, or every file that is no such schema, and why */
  static async open(files: ReadonlySet<string>): Promise<Result<SchemaCheck, readonly string[]>> {
    const schemas: SchemaText[] = []
    const unreadable: string[] = []
    for (const file of files) {
      try {
        schemas.push({ file, text: await readFile(file, 'utf8') })
      } catch (error) {
        unreadable.push(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
      }
    }
    if (unreadable.length > 0) return err(unreadable)
    if (schemas.length === 0) return ok(new SchemaCheck([], undefined))
    const { thread, broken } = await startThread(schemas)
    if (broken.length === 0) return ok(new SchemaCheck(schemas, thread))
    await thread.terminate()
    return err(broken)
  }

  /**
   * @param limitMs - from when its turn has come
   * @throws {BrokerError} `UNAVAILABLE` when there is no judgement: out of time or memory, or closing
   */
  judge(question: SchemaQuestion, limitMs: number): Promise<readonly ContentFault[]> {
    return this.#turns.run(async () => {
      if (this.#isClosed) throw new BrokerError('UNAVAILABLE', 'the broker is stopping')
      this.#thread ??= (await startThread(this.#schemas)).thread
      try {
        return (await answerOf(this.#thread, question, limitMs)) as readonly ContentFault[]
      } catch (cause) {
        const thread = this.#thread
        this.#thread = undefined
        await thread.terminate()
        const detail = 'the content could not be judged by its schema in time'
        throw new BrokerError('UNAVAILABLE', detail, { cause })
      }
    })
  }

  /** Closes when all that was asked until now is answered. */
  retire(): Promise<void> {
    return this.#turns.run(() => this.close())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#thread?.terminate()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function startThread(schemas: readonly SchemaText[]) {
  // The built package has `.js` where the source has `.ts`.
  const file = new URL(`./schema-thread${extname(import.meta.url)}`, import.meta.url)
  const thread = new Worker(file, {
    workerData: schemas,
    resourceLimits: { maxOldGenerationSizeMb: THREAD_MB },
  })
  thread.unref()
  const broken = (await answerOf(thread)) as readonly string[]
  return { thread, broken }
}

/** The next message of a thread, of which nothing else is awaited meanwhile. */
async function answerOf(
  thread: Worker,
  question?: SchemaQuestion,
  limitMs?: number,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const onExit = () => reject(new Error('the thread has ended'))
  const timer =
    limitMs === undefined
      ? undefined
      : setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs)
  thread.once('message', resolve).once('error', reject).once('exit', onExit)
  if (question !== undefined) thread.postMessage(question)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    thread.off('message', resolve).off('error', reject).off('exit', onExit)
  }
}
