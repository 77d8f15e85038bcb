import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'

/** Header fields that speak for somebody else: only the front may set them. */
export const FORWARDED_HEADERS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'x-client-verify',
  'x-client-cert',
  'x-broker-proxy',
  'forwarded',
]

export interface ProxyTrustOptions {
  readonly proxy: 'off' | 'nginx'
  /** Requests over a unix socket come from the front: nobody else may open it. */
  readonly isUnixSocket: boolean
  readonly secret: string | undefined
}

/** Knows which requests come from the front, and takes from all others what only the front may say. */
export class ProxyTrust {
  readonly #options: ProxyTrustOptions
  /** Nobody else comes here, so that it need not be kept of each request. */
  readonly #isFrontAlone: boolean
  readonly #secretHash: Buffer | undefined
  readonly #proxied = new WeakSet<IncomingMessage>()
  #wasSeen = false
  #wrongSecrets = 0

  constructor(options: ProxyTrustOptions) {
    this.#options = options
    this.#isFrontAlone = options.proxy === 'nginx' && options.isUnixSocket
    const { secret } = options
    this.#secretHash = secret === undefined || secret === '' ? undefined : hash(secret)
  }

  /** Looks at every request before anybody else does. */
  guard(server: Server): void {
    const look = (request: IncomingMessage) => this.#look(request)
    server.prependListener('request', look)
    server.prependListener('upgrade', look)
  }

  /** What is known of the front, in words for an operator. */
  get detail(): string {
    if (this.#options.proxy === 'off') return 'off'
    if (this.#wrongSecrets > 0) return `nginx, ${this.#wrongSecrets} requests had a wrong secret`
    return this.#wasSeen ? 'nginx' : 'nginx, no request came from it yet'
  }

  isFromProxy(request: IncomingMessage): boolean {
    return this.#isFrontAlone || this.#proxied.has(request)
  }

  #look(request: IncomingMessage): void {
    if (this.#isFrontAlone) return
    if (this.#options.proxy === 'nginx' && this.#isFront(request)) {
      this.#proxied.add(request)
      this.#wasSeen = true
      return
    }
    const { headers } = request
    // Asked for first: deleting what is not there costs ten times as much as looking.
    for (const name of FORWARDED_HEADERS) if (headers[name] !== undefined) delete headers[name]
  }

  #isFront(request: IncomingMessage): boolean {
    const shown = request.headers['x-broker-proxy']
    if (this.#secretHash === undefined || typeof shown !== 'string') return false
    const isRight = timingSafeEqual(hash(shown), this.#secretHash)
    if (!isRight) this.#wrongSecrets += 1
    return isRight
  }
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
