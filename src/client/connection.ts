import { BrokerError } from '../protocol/problem.ts'
import type { WebSocketConstructor } from './events/web-socket-like.ts'
import { backoffMs } from './http/backoff.ts'

export interface BrokerClientOptions {
  /** Where the broker is, e.g. `https://broker.example` or `https://example.org/broker`. */
  readonly url: string | URL
  /** `dbk_...`. A function is asked again for every request and connection. Without it: anonymous. */
  readonly token?: string | (() => string | Promise<string>) | undefined
  /** Used in place of the global one. */
  readonly fetch?: typeof fetch | undefined
  /** Used in place of the global one. */
  readonly WebSocket?: WebSocketConstructor | undefined
  /** Ends everything that this client does. */
  readonly signal?: AbortSignal | undefined
  /** How often a call that may be repeated is repeated, and a first connection. Default 4; 0 for never. */
  readonly retries?: number | undefined
  /** Milliseconds to wait after the `attempt`th failure, from 1. Default: exponential with jitter. */
  readonly backoff?: ((attempt: number) => number) | undefined
}

/** The options, checked and with their defaults: what every part of the client is given. */
export interface Connection {
  /** Without trailing `/`. */
  readonly baseUrl: string
  readonly fetch: typeof fetch
  readonly signal: AbortSignal
  readonly retries: number
  readonly isTokenRenewable: boolean
  readonly backoff: (attempt: number) => number
  token(): Promise<string | undefined>
  webSocket(): WebSocketConstructor
}

const DEFAULT_RETRIES = 4

/** @throws {BrokerError} `REQUEST_INVALID` when `url` is none that a broker could have */
export function connectionOf(options: BrokerClientOptions, closing: AbortSignal): Connection {
  const { token, fetch: request = globalThis.fetch, signal } = options
  return {
    baseUrl: baseUrlOf(options.url),
    // Browsers refuse a fetch that is called as a method of something else.
    fetch: (input, init) => request(input, init),
    signal: signal === undefined ? closing : AbortSignal.any([signal, closing]),
    retries: options.retries ?? DEFAULT_RETRIES,
    isTokenRenewable: typeof token === 'function',
    backoff: options.backoff ?? backoffMs,
    token: async () => checkedToken(typeof token === 'function' ? await token() : token),
    webSocket: () => webSocketOf(options),
  }
}

function baseUrlOf(given: string | URL): string {
  const url = URL.parse(String(given))
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new BrokerError('REQUEST_INVALID', 'the URL of a broker begins with http:// or https://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new BrokerError('REQUEST_INVALID', 'a token is no part of the URL of a broker')
  }
  return (url.origin + url.pathname).replace(/\/+$/, '')
}

/** What fits no header is refused here: fetch would refuse it with the secret in its message. */
function checkedToken(token: string | undefined): string | undefined {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token
  throw new BrokerError('CREDENTIAL_INVALID', 'the token is empty or holds what no token has')
}

function webSocketOf(options: BrokerClientOptions): WebSocketConstructor {
  const found: WebSocketConstructor | undefined = options.WebSocket ?? globalThis.WebSocket
  if (found === undefined) throw new Error('no WebSocket here: give one as the option WebSocket')
  return found
}
