import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { ReceivedContent } from '../content-validator.ts'
import type { ContentFault } from '../file-change.ts'
import { WorkSlots } from '../work-slots.ts'
import { faultLines } from './fault-text.ts'

export interface CommandQuestion {
  readonly path: FilePath
  readonly content: ReceivedContent
  /** A program and its arguments. */
  readonly command: readonly string[]
  /** From when its turn has come. */
  readonly limitMs: number
}

const COMMANDS_AT_ONCE = 4

/** Kept of what a command writes on its standard error; the rest is read and forgotten. */
const MAX_STDERR_BYTES = 64 * 1024

/**
 * Asks external programs what they think of a content. Only an exit code is a judgement: 0 accepts, any
 * other refuses. Without one the content is neither accepted nor refused.
 */
export class CommandCheck implements AsyncDisposable {
  readonly #slots = new WorkSlots(COMMANDS_AT_ONCE)
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  /**
   * @throws {BrokerError} `UNAVAILABLE` when there is no judgement: no such program, out of time, ended by a
   *   signal, or closing
   */
  judge(question: CommandQuestion): Promise<readonly ContentFault[]> {
    return this.#slots.run(async () => {
      const { signal } = this.#stopping
      if (signal.aborted) throw noJudgement('the broker is stopping')
      const run = runCommand(question, signal)
      this.#running.add(run)
      try {
        return await run
      } finally {
        this.#running.delete(run)
      }
    })
  }

  /** Ends what runs. */
  async close(): Promise<void> {
    this.#stopping.abort()
    await Promise.allSettled(this.#running)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function runCommand(
  { path, content, command: [program = '', ...args], limitMs }: CommandQuestion,
  stopping: AbortSignal,
): Promise<readonly ContentFault[]> {
  if (content.file === undefined) throw new Error('a command needs a content on disk')
  // A descriptor that only reads: the command cannot change what it judges, and may leave it unread.
  await using file = await open(content.file, constants.O_RDONLY | constants.O_NOFOLLOW)
  const child = spawn(program, args, {
    stdio: [file.fd, 'ignore', 'pipe'],
    cwd: '/',
    env: {
      PATH: process.env['PATH'],
      LANG: process.env['LANG'],
      BROKER_PATH: path,
      BROKER_SIZE: String(content.size),
      BROKER_SHA256: content.sha256,
    },
    // A group of its own, which can be ended with all that it has started.
    detached: true,
  })
  const { code, stderr } = await outcomeOf(child, AbortSignal.any([stopping, limit(limitMs)]))
  if (code === 0) return []
  const faults = faultLines(stderr)
  return faults.length > 0 ? faults : [{ message: `was refused with exit code ${code}` }]
}

async function outcomeOf(child: ChildProcess, ending: AbortSignal) {
  const stderr = gather(child.stderr)
  const end = () => killGroup(child)
  ending.addEventListener('abort', end)
  try {
    // Rejects when there is no such program.
    const [code] = (await once(child, 'exit')) as [number | null]
    // What it left running has nothing to say any more, and would hold the pipe open.
    end()
    if (code === null) throw new Error(ending.aborted ? 'out of time' : 'ended by a signal')
    return { code, stderr: await stderr.text(ending) }
  } catch (cause) {
    throw noJudgement('the content could not be judged by the program for it', cause)
  } finally {
    ending.removeEventListener('abort', end)
    child.stderr?.destroy()
  }
}

/** Reads to the end, so that whoever writes much is not stuck, and keeps the beginning. */
function gather(stream: Readable | null) {
  const kept: Buffer[] = []
  let room = MAX_STDERR_BYTES
  stream?.on('data', (chunk: Buffer) => {
    if (room <= 0) return
    kept.push(chunk.subarray(0, room))
    room -= chunk.byteLength
  })
  const ended = stream === null ? Promise.resolve() : once(stream, 'close').then(() => {})
  ended.catch(() => undefined)
  return {
    async text(ending: AbortSignal): Promise<string> {
      // A process that has left the group may hold the pipe open for ever.
      if (!ending.aborted) await Promise.race([ended, once(ending, 'abort')])
      return Buffer.concat(kept).toString()
    },
  }
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function limit(limitMs: number): AbortSignal {
  return AbortSignal.timeout(Math.min(limitMs, 2 ** 31 - 1))
}

function noJudgement(detail: string, cause?: unknown): BrokerError {
  return new BrokerError('UNAVAILABLE', detail, { cause })
}
