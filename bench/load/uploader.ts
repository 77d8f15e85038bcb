/** A process that uploads small files, some at once, each when the one before it was acknowledged. */
import { createHash, randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { answerCalls } from './process-calls.ts'

export interface UploadOptions {
  readonly port: number
  /** Below which the files are made: `/files/bench/1/`. */
  readonly directory: string
  readonly headers: Readonly<Record<string, string>>
  readonly files: number
  readonly bytes: number
  readonly atOnce: number
}

export interface Uploaded extends LoadReport {
  /** How long each upload took, in milliseconds, ascending. */
  readonly durations: Float64Array
}

/** On the clock of `clock.ts`. */
export interface UploadTime {
  /** As an event tells it: `bench/1/000000.bin`. */
  readonly path: string
  readonly sentMs: number
  readonly answeredMs: number
}

interface Upload {
  readonly path: string
  readonly content: Buffer
  readonly sha256: string
}

let uploads: readonly Upload[] = []
let options: UploadOptions | undefined
let agent = new Agent()
let times: UploadTime[] = []

const api = {
  prepare(given: UploadOptions): void {
    options = given
    times = []
    agent = new Agent({ keepAlive: true, maxSockets: given.atOnce })
    uploads = Array.from({ length: given.files }, (_, index) => {
      const content = randomBytes(given.bytes)
      const sha256 = createHash('sha256').update(content).digest('hex')
      return { path: `${given.directory}${String(index).padStart(6, '0')}.bin`, content, sha256 }
    })
  },

  async upload(_: undefined): Promise<Uploaded> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const durations: number[] = []
    const queue = uploads.values()
    const work = async () => {
      for (const each of queue) durations.push(await put(each))
    }
    await Promise.all(Array.from({ length: options?.atOnce ?? 0 }, work))
    const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
    return { ...report, durations: Float64Array.from(durations).sort() }
  },

  /** One by one at a pace, whatever becomes of them; resolves when all are answered. */
  async uploadPaced({ perSecond }: { readonly perSecond: number }): Promise<LoadReport> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const running: Promise<number>[] = []
    for (const [index, each] of uploads.entries()) {
      await delay(Math.max(0, startedMs + (index * 1000) / perSecond - clockMs()))
      running.push(put(each))
    }
    await Promise.all(running)
    return { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
  },

  /** When each upload since `prepare` was sent and answered. */
  times(_: undefined): readonly UploadTime[] {
    return times
  },

  /** As `upload`, all files in one form; resolves when it was answered. */
  async uploadForm(_: undefined): Promise<LoadReport> {
    const boundary = randomBytes(16).toString('hex')
    const body = formOf(uploads, boundary)
    const type = { 'content-type': `multipart/form-data; boundary=${boundary}` }
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const answered = await send('POST', options?.directory ?? '', body, type)
    const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
    const answer = answered.body.toString()
    const isWhole = uploads.every(({ sha256 }) => answer.includes(sha256))
    if (answered.status !== 201 || !isWhole) {
      throw new Error(`the form: ${answered.status} ${answer.slice(0, 300)}`)
    }
    return report
  },

  /** Reads every file again; resolves with the first that is not what was sent. */
  async check(_: undefined): Promise<string | undefined> {
    for (const { path, content } of uploads) {
      const { status, body } = await send('GET', path)
      if (status !== 200 || !body.equals(content)) return `${path} came back with ${status}`
    }
    agent.destroy()
    return undefined
  },
}

/** What the process of the uploader can be asked for. */
export type Uploader = typeof api

answerCalls(api)

async function put({ path, content, sha256 }: Upload): Promise<number> {
  const sentMs = clockMs()
  const { status, body } = await send('PUT', path, content)
  const answeredMs = clockMs()
  times.push({ path: path.slice('/files/'.length), sentMs, answeredMs })
  const answer = body.toString()
  if (status !== 201 || !answer.includes(sha256)) throw new Error(`${path}: ${status} ${answer}`)
  return answeredMs - sentMs
}

/** @see RFC 7578 */
function formOf(files: readonly Upload[], boundary: string): Buffer {
  const parts = files.flatMap(({ path, content }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${basename(path)}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
    content,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)])
}

function send(
  method: string,
  path: string,
  content?: Buffer,
  fields: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number | undefined; readonly body: Buffer }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    readonly status: number | undefined
    readonly body: Buffer
  }>()
  const { port, headers } = options ?? {}
  const length = content === undefined ? {} : { 'content-length': content.length }
  const sent = request(
    { host: '127.0.0.1', port, method, path, agent, headers: { ...headers, ...fields, ...length } },
    (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(pieces) }),
      )
    },
  )
  sent.on('error', reject)
  sent.end(content)
  return promise
}
