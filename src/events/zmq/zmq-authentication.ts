import { type Context, Router } from 'zeromq'
import { receiveUntilClosed } from './zmq-receive-loop.ts'
import type { ZmqLogger } from './zmq-report.ts'

/** What a connecting peer presents. @see ZeroMQ RFC 27 */
export interface ZapRequest {
  readonly mechanism: string
  /** The peer's address; behind a TCP proxy that of the proxy. */
  readonly address: string
  /** PLAIN: user name and password. NULL: none. */
  readonly credentials: readonly Buffer[]
}

/** Let in; refused for good; refused for now, so that the peer comes again by itself. */
export type ZapVerdict = 'admitted' | 'refused' | 'later'

export type ZapJudge = (request: ZapRequest) => ZapVerdict

const STATUS = { admitted: '200', refused: '400', later: '300' } as const satisfies Record<
  ZapVerdict,
  string
>

const VERSION = '1.0'

/**
 * Answers libzmq when it asks whether a peer may connect: one for all sockets of a context, open before any
 * of them is bound. A domain that nobody registered is refused. Every question is answered, since a peer
 * without an answer hangs until its handshake times out.
 */
export class ZmqAuthentication implements AsyncDisposable {
  readonly #socket: Router
  readonly #logger: ZmqLogger
  readonly #judges = new Map<string, ZapJudge>()
  readonly #loop: Promise<void>

  private constructor(socket: Router, logger: ZmqLogger) {
    this.#socket = socket
    this.#logger = logger
    this.#loop = receiveUntilClosed(
      socket,
      (frames) => this.#answer(frames),
      (error) => this.#report(error),
    )
  }

  static async open(context: Context, logger: ZmqLogger): Promise<ZmqAuthentication> {
    const socket = new Router({ context, linger: 0, sendTimeout: 0 })
    await socket.bind('inproc://zeromq.zap.01')
    return new ZmqAuthentication(socket, logger)
  }

  /** Who connects to the sockets of `domain` is judged by `judge`. */
  register(domain: string, judge: ZapJudge): Disposable {
    this.#judges.set(domain, judge)
    return { [Symbol.dispose]: () => this.#judges.delete(domain) }
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.#loop
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #answer(frames: readonly Buffer[]): void {
    const [route, delimiter, version, requestId, ...rest] = frames
    if (route === undefined || delimiter === undefined || requestId === undefined) return
    const isKnownVersion = version?.toString() === VERSION
    const status = STATUS[isKnownVersion ? this.#judge(rest) : 'refused']
    this.#socket
      .send([route, delimiter, VERSION, requestId, status, '', '', ''])
      .catch((error: unknown) => this.#report(error))
  }

  #judge([domain, address, _identity, mechanism, ...credentials]: readonly Buffer[]): ZapVerdict {
    if (domain === undefined || address === undefined || mechanism === undefined) return 'refused'
    const judge = this.#judges.get(domain.toString())
    if (judge === undefined) return 'refused'
    try {
      const peer = { mechanism: mechanism.toString(), address: address.toString(), credentials }
      return judge(peer)
    } catch (error) {
      this.#report(error)
      return 'later'
    }
  }

  #report(error: unknown): void {
    this.#logger.error({ event: 'events.zmq.authentication', err: error }, 'authentication failed')
  }
}
