/** A process that sends and fetches one large file at a time. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { type LargeContent, piecesOf, sha256Of } from './large-content.ts'
import { answerCalls } from './process-calls.ts'

export interface TransferTarget {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Sent extends LoadReport {
  readonly status: number
  readonly answer: string
}

export interface Fetched extends LoadReport {
  readonly status: number
  /** Of the body. */
  readonly bytes: number
}

/** As much as one read of a fast connection finds. */
const READ_BUFFER = Buffer.alloc(2 << 20)

const api = {
  sha256: sha256Of,

  /** PUT; resolves when it is answered. */
  async send({ content, ...target }: TransferTarget & { content: LargeContent }): Promise<Sent> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const headers = { ...target.headers, 'content-length': content.bytes }
    const sent = request({ ...target, host: '127.0.0.1', method: 'PUT', headers, agent: false })
    const answered = once(sent, 'response')
    answered.catch(() => undefined)
    for (const piece of piecesOf(content)) if (!sent.write(piece)) await once(sent, 'drain')
    sent.end()
    const [response] = await answered
    const answer = await text(response)
    const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
    return { ...report, status: response.statusCode, answer }
  },

  /** GET of which the bytes are counted and no more: a look at each would cost more than the server. */
  fetch({ port, path, headers }: TransferTarget): Promise<Fetched> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const { promise, resolve, reject } = Promise.withResolvers<Fetched>()
    let head = ''
    let bytes = 0
    const callback = (length: number) => {
      bytes += length
      if (!head.includes('\r\n\r\n')) {
        head += READ_BUFFER.toString('latin1', 0, Math.min(length, 8192))
        bytes -= Math.max(0, head.indexOf('\r\n\r\n') + 4)
      }
      return true
    }
    const socket = connect({ host: '127.0.0.1', port, onread: { buffer: READ_BUFFER, callback } })
    const fields = { Host: `127.0.0.1:${port}`, Connection: 'close', ...headers }
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    socket.on('error', reject)
    socket.on('close', () => {
      const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
      resolve({ ...report, bytes, status: Number(head.slice(9, 12)) })
    })
    return promise
  },

  /** GET; the digest of what came, in lower-case hex. */
  async digest(target: TransferTarget): Promise<string> {
    const asked = request({ ...target, host: '127.0.0.1', agent: false }).end()
    const [response] = await once(asked, 'response')
    const hash = createHash('sha256')
    for await (const piece of response) hash.update(piece)
    return hash.digest('hex')
  },
}

/** What the process of the transfers can be asked for. */
export type LargeTransfer = typeof api

answerCalls(api)
