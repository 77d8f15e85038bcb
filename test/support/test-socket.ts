import { type ClientOptions, WebSocket } from 'ws'

export type Message = Record<string, unknown>

/** A WebSocket client that keeps what it received, for tests to wait on. */
export class TestSocket implements Disposable {
  readonly socket: WebSocket
  readonly messages: Message[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  #changed = Promise.withResolvers<void>()
  #lastId = 0

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)))
      this.#announce()
    })
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: String(reason) })
        this.#announce()
      })
    })
  }

  static async open(
    url: string,
    {
      token,
      protocols = [],
      ...options
    }: ClientOptions & { token?: string; protocols?: string[] } = {},
  ): Promise<TestSocket> {
    const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) }
    const socket = new WebSocket(url, protocols, { ...options, headers })
    const test = new TestSocket(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('unexpected-response', (_, response) => {
        reject(Object.assign(new Error(`refused: ${response.statusCode}`), { response }))
        socket.terminate()
      })
      socket.once('error', reject)
    })
    return test
  }

  /** The events received, in order. */
  get events(): Message[] {
    return this.messages.filter((message) => 'specversion' in message)
  }

  get data(): unknown[] {
    return this.events.map(({ data }) => data)
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  /** Sends a command and resolves with its reply. */
  async ask(command: Message): Promise<Message> {
    const id = ++this.#lastId
    this.send({ ...command, id })
    return this.wait((message) => message['id'] === id && 'op' in message)
  }

  /** Resolves with the first message, received already or later, of which `isWanted` is true. */
  async wait(isWanted: (message: Message) => boolean): Promise<Message> {
    for (;;) {
      const found = this.messages.find(isWanted)
      if (found !== undefined) return found
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('the socket was closed')
      await this.#changed.promise
    }
  }

  async waitEvents(count: number): Promise<Message[]> {
    while (this.events.length < count) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('the socket was closed')
      await this.#changed.promise
    }
    return this.events
  }

  [Symbol.dispose](): void {
    this.socket.terminate()
  }

  #announce(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers<void>()
  }
}
