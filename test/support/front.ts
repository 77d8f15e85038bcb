import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeFront } from '../../src/gateway/front/front.ts'
import { DEFAULT_LIMITS, type FrontOptions } from '../../src/gateway/front/front-options.ts'
import { freePort, startNginx } from './nginx.ts'

export const SECRET = 'a-secret-of-the-proxy'

/** What a client may send and the broker must never see. */
export const SPOOFED = {
  forwarded: 'for=6.6.6.6',
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-proto': 'gopher',
  'x-forwarded-host': 'evil.example',
  'x-client-verify': 'SUCCESS',
  'x-client-cert': 'forged',
  'x-broker-proxy': 'guessed',
  'x-request-id': 'mine',
  'x-original-method': 'SPOOFED',
  'x-original-uri': '/spoofed',
  'x-original-length': '1',
}

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** A broker of few words: records what it is asked and answers by path. */
export class StubBroker implements AsyncDisposable {
  readonly server = http.createServer((request, response) => this.#answer(request, response))
  readonly seen: Seen[] = []
  /** The open streams of `/events/stream`. */
  readonly streams: http.ServerResponse[] = []

  constructor() {
    this.server.on('upgrade', (request, socket) => {
      this.#note(request)
      socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi',
      )
    })
  }

  async listen(where: string | number): Promise<string> {
    if (typeof where === 'string') this.server.listen(where)
    else this.server.listen(where, '127.0.0.1')
    await once(this.server, 'listening')
    return addressOf(this.server)
  }

  /** What arrived since the last look. */
  take(): readonly Seen[] {
    return this.seen.splice(0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.server.listening) return
    this.server.close()
    this.server.closeAllConnections()
    await once(this.server, 'close')
  }

  #note(request: IncomingMessage): void {
    this.seen.push({
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
    })
  }

  #answer(request: IncomingMessage, response: http.ServerResponse): void {
    this.#note(request)
    const url = request.url ?? ''
    if (url === '/auth/upload') this.#answerAsk(request, response)
    else if (url.startsWith('/files/download/')) this.#answerDownload(url, response)
    else if (url === '/events/stream') this.#answerStream(response)
    else this.#answerBody(request, response)
  }

  #answerStream(response: http.ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: first\n\n')
    this.streams.push(response)
  }

  #answerBody(request: IncomingMessage, response: http.ServerResponse): void {
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      this.server.emit('body')
    })
    request.on('end', () => response.end(String(bytes)))
  }

  /** `/files/refuse/<status>` is refused with that status. */
  #answerAsk(request: IncomingMessage, response: http.ServerResponse): void {
    const target = String(request.headers['x-original-uri'])
    const status = Number(/\/refuse\/(\d+)/.exec(target)?.[1] ?? 204)
    if (status < 300) {
      response.writeHead(status).end()
      return
    }
    const problem = { code: 'OF_THE_BROKER', status, target }
    response
      .writeHead(status, {
        'content-type': 'application/problem+json',
        'www-authenticate': 'Bearer realm="broker"',
        ...(status === 429 && { 'retry-after': '7' }),
      })
      .end(JSON.stringify(problem))
  }

  #answerDownload(url: string, response: http.ServerResponse): void {
    const link = url.slice('/files/download/'.length)
    response
      .writeHead(200, {
        'x-accel-redirect': `/-/serve/default/serve/${link}`,
        'content-type': 'text/x-ours',
        etag: '"sha256-ours"',
        'repr-digest': 'sha-256=:b3Vycw==:',
        'last-modified': 'Wed, 21 Oct 2015 07:28:00 GMT',
        'content-security-policy': 'sandbox',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      .end()
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask extends Omit<RequestOptions, 'agent'> {
  readonly body?: Buffer
}

export function addressOf(server: Server): string {
  const address = server.address() as AddressInfo | string
  return typeof address === 'string' ? `unix:${address}` : `127.0.0.1:${address.port}`
}

export async function answerOf(request: http.ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  // Once it is answered, what is left of the body may meet a closed connection.
  request.on('error', () => {})
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(Buffer.from(chunk))
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: Buffer.concat(chunks).toString('latin1'),
  }
}

export function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.body)
  assert.equal(answer.headers['content-type'], 'application/problem+json')
  const problem: unknown = JSON.parse(answer.body)
  assert.ok(typeof problem === 'object' && problem !== null)
  assert.equal('code' in problem && problem.code, code)
  assert.equal('status' in problem && problem.status, status)
}

/** Nginx with the rendered configuration before a stub of the broker, in a directory of their own. */
export class Front implements AsyncDisposable {
  readonly stub: StubBroker
  readonly port: number
  readonly dir: string
  readonly #owned: AsyncDisposableStack

  private constructor(stub: StubBroker, port: number, dir: string, owned: AsyncDisposableStack) {
    this.stub = stub
    this.port = port
    this.dir = dir
    this.#owned = owned
  }

  static async start(change: Partial<FrontOptions> = {}, uid?: number): Promise<Front> {
    await using cleanup = new AsyncDisposableStack()
    const dir = cleanup.adopt(await temporaryDirectory(), (path) => rm(path, { recursive: true }))
    const stub = cleanup.use(new StubBroker())
    const upstream = await stub.listen(0)
    const port = await freePort()
    await writeFront(dir, { ...optionsFor(dir, upstream, port), ...change })
    if (uid !== undefined) await giveAway(dir, uid)
    cleanup.use(await startNginx(dir, uid === undefined ? {} : { uid }))
    return new Front(stub, port, dir, cleanup.move())
  }

  open(path: string, { body, ...options }: Ask = {}): http.ClientRequest {
    const request = http.request({ port: this.port, path, agent: false, ...options })
    return request.end(body)
  }

  async ask(path: string, options: Ask = {}): Promise<Answer> {
    return await answerOf(this.open(path, options))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
  }
}

export async function temporaryDirectory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'broker-'))
  await chmod(dir, 0o755)
  return dir
}

async function giveAway(dir: string, uid: number): Promise<void> {
  await chown(dir, uid, uid)
  for (const name of await readdir(dir)) {
    if (name !== 'modules') await chown(join(dir, name), uid, uid)
  }
}

export function optionsFor(dir: string, upstream: string, port: number): FrontOptions {
  return {
    upstream,
    http: `127.0.0.1:${port}`,
    https: undefined,
    zmq: [],
    volumes: join(dir, 'volumes'),
    secret: SECRET,
    nginxVersion: undefined,
    user: undefined,
    publicUrl: '',
    maxFileBytes: Number.POSITIVE_INFINITY,
    maxEventBytes: 2 ** 20,
    limits: DEFAULT_LIMITS,
  }
}
