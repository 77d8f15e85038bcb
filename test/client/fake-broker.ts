import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { PROBLEMS, type ProblemCode } from '../../src/protocol/problem.ts'

export interface FakeRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface FakeAnswer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
  readonly body?: string | Buffer
  /** Ends the connection after so many bytes of the body. */
  readonly breakAfter?: number
}

export type Answerer = (request: FakeRequest) => FakeAnswer | 'drop' | Promise<FakeAnswer | 'drop'>

/** A broker that does what a test tells it: answers requests one by one, plays its part on WebSockets. */
export class FakeBroker implements AsyncDisposable {
  readonly requests: FakeRequest[] = []
  readonly peers: FakePeer[] = []
  answer: Answerer = () => ({ status: 404, json: problem('NOT_FOUND') })
  onPeer: (peer: FakePeer, count: number) => Promise<void> = async () => {}
  readonly #server: Server
  readonly #sockets: WebSocketServer

  private constructor(server: Server) {
    this.#server = server
    this.#sockets = new WebSocketServer({ server, path: '/ws' })
    this.#sockets.on('connection', (socket, { headers }) => {
      const peer = new FakePeer(socket, String(headers['sec-websocket-protocol']))
      this.peers.push(peer)
      this.onPeer(peer, this.peers.length).catch(() => socket.terminate())
    })
    server.on('request', (request, response) => {
      this.#respond(request, response).catch(() => response.destroy())
    })
  }

  static async start(): Promise<FakeBroker> {
    const server = createServer()
    const broker = new FakeBroker(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return broker
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Gives these answers to the requests that come, in order, and the last to all further ones. */
  answerWith(...answers: readonly (FakeAnswer | 'drop')[]): void {
    let count = 0
    this.answer = () => {
      const answer = answers[Math.min(count, answers.length - 1)]
      count += 1
      return answer ?? 'drop'
    }
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method = '', url = '', headers } = request
    const received = { method, url, headers, body: Buffer.concat(chunks) }
    this.requests.push(received)
    const answer = await this.answer(received)
    if (answer === 'drop') return void request.socket.destroy()
    const isProblem = answer.json !== undefined && (answer.status ?? 200) >= 400
    const type = isProblem ? 'application/problem+json' : 'application/json'
    const body = answer.json === undefined ? (answer.body ?? '') : JSON.stringify(answer.json)
    response.writeHead(answer.status ?? 200, {
      ...(answer.json !== undefined && { 'content-type': type }),
      'content-length': String(Buffer.byteLength(body)),
      ...answer.headers,
    })
    if (answer.breakAfter === undefined) return void response.end(body)
    response.write(Buffer.from(body).subarray(0, answer.breakAfter), () => response.destroy())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#sockets.close()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

type Message = Record<string, unknown>

/** The broker's end of one WebSocket. */
export class FakePeer {
  readonly protocol: string
  readonly closed: Promise<number>
  /** Of the subscribe that was accepted. */
  since: unknown
  readonly #socket: WebSocket
  readonly #inbox: Message[] = []
  #waiting: PromiseWithResolvers<Message> | undefined

  constructor(socket: WebSocket, protocol: string) {
    this.#socket = socket
    this.protocol = protocol
    this.closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Message
      if (this.#waiting === undefined) this.#inbox.push(message)
      else this.#waiting.resolve(message)
      this.#waiting = undefined
    })
  }

  send(message: object | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** The client's next message. */
  next(): Promise<Message> {
    const message = this.#inbox.shift()
    if (message !== undefined) return Promise.resolve(message)
    this.#waiting = Promise.withResolvers()
    return this.#waiting.promise
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason)
  }

  /** Ends the connection without a close frame. */
  drop(): void {
    this.#socket.terminate()
  }

  /** Welcome, authentication if the client wants it, and the reply to its subscribe. */
  async accept(position = 'e:0', pingIntervalMs = 25_000): Promise<Message> {
    this.send({ op: 'welcome', protocol: 'broker.v1.json', user: null, pingIntervalMs })
    let command = await this.next()
    if (command['op'] === 'auth') {
      this.send({ op: 'ok', id: command['id'], user: 'jenkins' })
      command = await this.next()
    }
    this.since = command['since']
    this.send({ op: 'ok', id: command['id'], position, recovered: true })
    return command
  }
}

export function problem(code: ProblemCode, more: object = {}): object {
  const { status, title } = PROBLEMS[code]
  return { type: `/problems/${code}`, title, status, code, detail: `told ${code}`, ...more }
}

export function fakeEvent(offset: number, more: object = {}): object {
  return {
    specversion: '1.0',
    id: `id-${offset}`,
    source: '/users/jenkins',
    type: 'message',
    time: '2026-11-20T10:00:00.000Z',
    data: { n: offset },
    topic: 'ci/build',
    authtype: 'user',
    authid: 'jenkins',
    ...more,
    position: `e:${offset}`,
  }
}
