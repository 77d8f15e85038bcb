/** A process that uploads one large content with tus, in one part or in many. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { answerCalls } from './process-calls.ts'

/** Sent over and over: making a GiB at random would take longer than sending it. */
const PATTERN = randomBytes(16 * 2 ** 20)

const WRITE_BYTES = 2 ** 20

export interface TusUpload {
  readonly port: number
  /** Where uploads are created. */
  readonly endpoint: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  readonly partBytes: number
}

export interface TusUploaded extends LoadReport {
  readonly url: string
  readonly etag: string | undefined
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

const api = {
  async upload(options: TusUpload): Promise<TusUploaded> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    const created = await answerOf(
      send(options, 'POST', options.endpoint, {
        'upload-length': options.bytes,
        'upload-metadata': `path ${Buffer.from(options.path).toString('base64')}`,
        'content-length': 0,
      }).end(),
    )
    const url = new URL(created.headers.location ?? '', `http://127.0.0.1:${options.port}`).pathname
    let last = created
    for (let offset = 0; offset < options.bytes; offset += options.partBytes) {
      last = await sendPart(options, url, offset)
    }
    if (last.headers['upload-offset'] !== String(options.bytes)) throw new Error('not all came')
    const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
    return { ...report, url, etag: last.headers.etag }
  },

  /** SHA-256 of what is sent, in base64url. */
  digest(bytes: number): string {
    const hash = createHash('sha256')
    for (let at = 0; at < bytes; at += WRITE_BYTES) hash.update(blockAt(at, bytes))
    return hash.digest('base64url')
  },
}

/** What the process of the uploader can be asked for. */
export type TusUploader = typeof api

answerCalls(api)

async function sendPart(options: TusUpload, url: string, offset: number): Promise<IncomingMessage> {
  const end = Math.min(options.bytes, offset + options.partBytes)
  const sent = send(options, 'PATCH', url, {
    'content-type': 'application/offset+octet-stream',
    'upload-offset': offset,
    'content-length': end - offset,
  })
  const answered = answerOf(sent)
  for (let at = offset; at < end; at += WRITE_BYTES) {
    if (!sent.write(blockAt(at, end))) await once(sent, 'drain')
  }
  sent.end()
  return answered
}

function blockAt(at: number, end: number): Buffer {
  const from = at % PATTERN.length
  return PATTERN.subarray(from, from + Math.min(WRITE_BYTES, end - at))
}

function send(
  { port, headers }: TusUpload,
  method: string,
  path: string,
  fields: Readonly<Record<string, string | number>>,
): ClientRequest {
  return request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent,
    headers: { ...headers, 'tus-resumable': '1.0.0', ...fields },
  })
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  await once(answer, 'end')
  const { statusCode = 0 } = answer
  if (statusCode >= 300) throw new Error(`an upload was answered ${statusCode}`)
  return answer
}
