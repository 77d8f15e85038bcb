import { BrokerError, PROBLEMS } from '../../protocol/problem.ts'
import type { Connection } from '../connection.ts'
import { NetworkError } from '../http/network-error.ts'
import { problemOf } from '../http/received-problem.ts'
import type { BrokerEvent } from './broker-event.ts'
import { finalProblemOfClose } from './close-verdict.ts'
import { parseServerMessage, type ServerMessage } from './server-message.ts'
import type { WebSocketLike } from './web-socket-like.ts'

const PROTOCOL = 'broker.v1.json'
const OPENING_TIMEOUT_MS = 10_000

export interface Interest {
  readonly filters: readonly string[]
  readonly since: string
}

export interface SocketListener {
  /** The subscription holds; `position` is the head of the log. */
  subscribed(position: string | undefined): void
  event(text: string, event: BrokerEvent): void
  /** Everything up to `position` was delivered. */
  position(position: string): void
}

/** How a socket ended: `final` when another attempt would end the same way. */
export interface SocketEnd {
  readonly error: Error
  readonly isFinal: boolean
  /** The least time to wait, when the broker said so. */
  readonly retryAfterMs?: number
}

/**
 * One WebSocket with one subscription on it, from the opening to the close:
 *
 *     welcome -> auth (with a token) -> subscribe -> events and positions -> close
 *
 * The token goes in the first message, since browsers cannot set headers here.
 */
export class SubscriptionSocket {
  readonly #connection: Connection
  readonly #interest: Interest
  readonly #listener: SocketListener
  readonly #ended = Promise.withResolvers<SocketEnd>()
  #socket: WebSocketLike | undefined
  #isOver = false
  #isWelcome = false
  #lastId = 0
  #authId: number | undefined
  #onAuthenticated: () => void = () => {}
  #subscribeId: number | undefined
  #retryAfterMs: number | undefined
  /** Since something was heard. */
  #silentLooks = 0
  #watch: ReturnType<typeof setInterval> | undefined

  constructor(connection: Connection, interest: Interest, listener: SocketListener) {
    this.#connection = connection
    this.#interest = interest
    this.#listener = listener
  }

  /** Connects, and resolves when the connection is over for whatever reason. Never rejects. */
  run(): Promise<SocketEnd> {
    try {
      const address = `${this.#connection.baseUrl.replace(/^http/, 'ws')}/ws`
      const WebSocket = this.#connection.webSocket()
      this.#listen(new WebSocket(address, [PROTOCOL]))
    } catch (error) {
      this.#fail(error, true)
    }
    return this.#ended.promise
  }

  /** Leaves; nothing is told to the listener any more. */
  leave(): void {
    this.#end({ error: new NetworkError('left'), isFinal: false })
  }

  #listen(socket: WebSocketLike): void {
    this.#socket = socket
    this.#watchEvery(OPENING_TIMEOUT_MS)
    socket.addEventListener('message', ({ data }) => {
      this.#silentLooks = 0
      const message = typeof data === 'string' ? parseServerMessage(data) : undefined
      if (message !== undefined && !this.#isOver) this.#receive(message, String(data))
    })
    socket.addEventListener('close', ({ code, reason }) => this.#closed(code, reason))
    // A close follows every error and says more.
    socket.addEventListener('error', () => {})
  }

  #receive(message: ServerMessage, text: string): void {
    switch (message.kind) {
      case 'event':
        this.#listener.event(text, message.event)
        break
      case 'position':
        this.#listener.position(message.position)
        break
      case 'welcome':
        this.#isWelcome = true
        this.#watchEvery(message.pingIntervalMs ?? OPENING_TIMEOUT_MS)
        this.#authenticate(() => this.#subscribe())
        break
      case 'expiring':
        if (this.#connection.isTokenRenewable) this.#authenticate(() => {})
        break
      case 'ok':
        if (message.id === this.#subscribeId) this.#listener.subscribed(message.position)
        else if (message.id === this.#authId) this.#onAuthenticated()
        break
      case 'error':
        this.#refused(message.problem)
        break
      case 'closing':
        this.#retryAfterMs = message.retryAfterMs
    }
  }

  #authenticate(next: () => void): void {
    this.#connection.token().then(
      (token) => {
        if (token === undefined) return next()
        this.#onAuthenticated = next
        this.#authId = this.#send({ op: 'auth', token })
      },
      (error: unknown) => this.#fail(error, true),
    )
  }

  #subscribe(): void {
    const { filters, since } = this.#interest
    this.#subscribeId = this.#send({ op: 'subscribe', filters, since })
  }

  #send(command: Readonly<Record<string, unknown>>): number {
    this.#lastId += 1
    const id = this.#lastId
    const { op, ...members } = command
    if (!this.#isOver) this.#socket?.send(JSON.stringify({ op, id, ...members }))
    return id
  }

  #refused(problem: unknown): void {
    const error = problemOf(problem)
    this.#fail(error, PROBLEMS[error.code].retry !== 'backoff')
  }

  #closed(closeCode: number, reason: string): void {
    const code = finalProblemOfClose(closeCode)
    const words = reason === '' ? `closed with ${closeCode}` : reason
    if (code === undefined) this.#lose(words)
    else this.#fail(new BrokerError(code, words, { fields: { closeCode } }), true)
  }

  /**
   * Browsers do not show pings, so silence is all that tells a connection which is gone from one that is
   * quiet: after one interval ask, after two give up. Counted by looks and not by the clock, so that nobody is
   * given up who was not asked, be it that this program slept.
   */
  #watchEvery(intervalMs: number): void {
    clearInterval(this.#watch)
    this.#silentLooks = 0
    this.#watch = setInterval(() => {
      this.#silentLooks += 1
      if (this.#silentLooks > 2) {
        this.#lose('no answer')
      } else if (this.#silentLooks === 2 && this.#subscribeId !== undefined) {
        this.#send({ op: 'ping' })
      }
    }, intervalMs)
  }

  #lose(words: string): void {
    const verb = this.#isWelcome ? 'lost' : 'cannot reach'
    this.#fail(new NetworkError(`${verb} ${this.#connection.baseUrl}: ${words}`), false)
  }

  #fail(thrown: unknown, isFinal: boolean): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const retryAfterMs = this.#retryAfterMs
    this.#end({ error, isFinal, ...(retryAfterMs !== undefined && { retryAfterMs }) })
  }

  #end(end: SocketEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    clearInterval(this.#watch)
    this.#socket?.close()
    this.#ended.resolve(end)
  }
}
