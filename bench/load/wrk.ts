import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('./wrk-requests.lua', import.meta.url))

export interface WrkOptions {
  readonly port: number
  readonly method: 'GET' | 'POST'
  /** Asked for in turn; every answer has the same size. */
  readonly paths: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly connections: number
  readonly seconds: number
  /** Whether the answers are all of one size, which is then checked. */
  readonly isUniform: boolean
  /** Over TLS, whoever made the certificate; the size of answers is not checked then. */
  readonly isTls?: boolean
}

export interface WrkReport {
  readonly requestsPerSecond: number
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of one of the threads, on average. */
  readonly generatorCores: number
  readonly fault: string | undefined
}

interface Result {
  readonly requests: number
  readonly bytes: number
  readonly microseconds: number
  readonly refused: number
  readonly broken: number
  readonly p50: number
  readonly p99: number
}

const THREADS = 2

/** Debian's `wrk`: each connection asks again when it was answered. */
export async function runWrk(options: WrkOptions): Promise<WrkReport> {
  const { port, connections, seconds, isTls = false } = options
  const directory = await mkdtemp(join(tmpdir(), 'broker-bench-'))
  try {
    const plan = join(directory, 'plan.lua')
    await writeFile(plan, luaPlan(options))
    const answerBytes = options.isUniform && !isTls ? await answerBytesOf(options) : undefined
    // bash tells what the processor time of the command was.
    const child = spawn(
      'bash',
      [
        ...['-c', `TIMEFORMAT='BUSY %U %S'; time wrk "$@"`, 'wrk'],
        ...['-t', String(THREADS), '-c', String(connections), '-d', `${seconds}s`],
        ...['-s', SCRIPT, `http${isTls ? 's' : ''}://127.0.0.1:${port}/`, '--', plan],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } },
    )
    const [stdout, stderr] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    return report(stdout + stderr, answerBytes, options)
  } finally {
    await rm(directory, { recursive: true })
  }
}

function report(
  output: string,
  answerBytes: number | undefined,
  { connections }: WrkOptions,
): WrkReport {
  const [, json] = /^RESULT (.*)$/m.exec(output) ?? []
  const [, user, system] = /^BUSY ([\d.]+) ([\d.]+)$/m.exec(output) ?? []
  if (json === undefined) throw new Error(`wrk failed: ${output}`)
  const result = JSON.parse(json) as Result
  const seconds = result.microseconds / 1e6
  return {
    requestsPerSecond: result.requests / seconds,
    requests: result.requests,
    p50Ms: result.p50 / 1000,
    p99Ms: result.p99 / 1000,
    generatorCores: (Number(user) + Number(system)) / seconds / THREADS,
    fault: faultOf(result, answerBytes, connections),
  }
}

function faultOf(
  { requests, bytes, refused, broken }: Result,
  answerBytes: number | undefined,
  connections: number,
): string | undefined {
  if (refused + broken > 0) return `${refused} refused and ${broken} broken of ${requests}`
  if (answerBytes === undefined) return undefined
  // What is on its way at the end is counted in part.
  const isWhole = Math.abs(bytes - requests * answerBytes) <= connections * answerBytes
  return isWhole ? undefined : `${bytes} bytes for ${requests} answers of ${answerBytes}`
}

/** Size of an answer, head and body. */
function answerBytesOf({ port, method, paths, headers, body }: WrkOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const sent = request({ port, host: '127.0.0.1', path: paths[0], method, headers, agent: false })
  sent.setHeader('connection', 'keep-alive')
  sent.on('error', reject)
  sent.on('response', (response) => {
    if ((response.statusCode ?? 0) >= 300) reject(new Error(`the answer is ${response.statusCode}`))
    const { socket } = response
    response.resume().on('end', () => {
      resolve(socket.bytesRead)
      socket.destroy()
    })
  })
  sent.end(body)
  return promise
}

function luaPlan({ method, paths, headers, body }: WrkOptions): string {
  const entries = Object.entries(headers).map(
    ([name, value]) => `[${quoted(name)}]=${quoted(value)}`,
  )
  return `return {
  method = ${quoted(method)},
  paths = { ${paths.map(quoted).join(', ')} },
  headers = { ${entries.join(', ')} },
  body = ${body === undefined ? 'nil' : quoted(body)},
}
`
}

/** A string of Lua: what JSON escapes with one letter, Lua reads alike. */
function quoted(value: string): string {
  return JSON.stringify(value)
}
