/** A peer: a process that makes small files durable with the calls that it takes, and nothing else. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { answerCalls } from '../load/process-calls.ts'
import { clockMs } from '../measure/clock.ts'

export interface WriteOptions {
  readonly directory: string
  readonly files: number
  readonly bytes: number
  readonly atOnce: number
}

export interface Written {
  readonly startedMs: number
  readonly endedMs: number
  readonly durations: Float64Array
  readonly fault: string | undefined
}

const api = {
  async write({ directory, files, bytes, atOnce }: WriteOptions): Promise<Written> {
    await mkdir(directory, { recursive: true })
    const contents = Array.from({ length: files }, () => randomBytes(bytes))
    const startedMs = clockMs()
    const durations: number[] = []
    const queue = contents.entries()
    const work = async () => {
      for (const [index, content] of queue) {
        const before = clockMs()
        await writeDurably(directory, nameOf(index), content)
        durations.push(clockMs() - before)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    const endedMs = clockMs()
    for (const [index, content] of contents.entries()) {
      if (!(await readFile(join(directory, nameOf(index)))).equals(content)) {
        return {
          startedMs,
          endedMs,
          durations: new Float64Array(),
          fault: `${nameOf(index)} differs`,
        }
      }
    }
    return { startedMs, endedMs, durations: Float64Array.from(durations).sort(), fault: undefined }
  },
}

/** What the process of the file writer can be asked for. */
export type FileWriter = typeof api

answerCalls(api)

async function writeDurably(directory: string, name: string, content: Buffer): Promise<void> {
  const path = join(directory, name)
  const file = await open(`${path}.new`, 'wx')
  await file.write(content)
  await file.sync()
  await file.close()
  await rename(`${path}.new`, path)
  const parent = await open(directory, 'r')
  await parent.sync()
  await parent.close()
}

function nameOf(index: number): string {
  return `${String(index).padStart(6, '0')}.bin`
}
