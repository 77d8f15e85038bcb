import { BrokerError, PROBLEMS, type ProblemCode } from '../../protocol/problem.ts'
import type { Connection } from '../connection.ts'
import { delay } from './delay.ts'
import { NetworkError } from './network-error.ts'
import { problemOfResponse } from './received-problem.ts'
import { redirectProblem } from './redirect-problem.ts'

/**
 * When a request may be sent again: `always` when a second time does no harm, `refused` only when the
 * broker said that it did nothing, `never` when its body can be read but once.
 */
export type Repeat = 'always' | 'refused' | 'never'

export interface BrokerRequest {
  readonly method: string
  /** Percent-encoded, with its query; begins with `/`. */
  readonly target: string
  /** The path of the file that is asked for: a directory is none. */
  readonly file?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Asked anew for every attempt. */
  readonly body?: () => string | Blob | ReadableStream<Uint8Array>
  readonly repeat: Repeat
  readonly signal?: AbortSignal | undefined
  /** Called before a request is sent again although the first may have been carried out. */
  readonly onDoubt?: () => void
}

/** A wait that a person would not sit through is left to the caller. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** Worth another attempt by the table, but one that costs the whole upload or needs somebody to act. */
const NOT_BY_ITSELF: ReadonlySet<ProblemCode> = new Set(['DIGEST_MISMATCH', 'STORAGE_FULL'])

/** Sends requests with the credential, repeats what may be repeated, and turns refusals into errors. */
export class HttpRequests {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * @returns an answer with a status below 400 that is no redirect
   * @throws {BrokerError} what the broker refused
   * @throws {NetworkError} when it could not be reached
   */
  async send(request: BrokerRequest): Promise<Response> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#sendOnce(request)
      } catch (error) {
        if (attempt > this.#connection.retries || !mayRepeat(request.repeat, error)) throw error
        if (isDoubtful(error)) request.onDoubt?.()
        await delay(this.#waitMs(error, attempt), this.#signalOf(request))
      }
    }
  }

  /** As `send`, for an answer in JSON. The caller knows its shape from the protocol. */
  async sendForJson<Answer>(request: BrokerRequest): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.send(request)
      try {
        return (await response.json()) as Answer
      } catch (cause) {
        this.#signalOf(request).throwIfAborted()
        if (cause instanceof SyntaxError)
          throw new NetworkError('not an answer of a broker', { cause })
        const error = new NetworkError('the answer broke off', { cause })
        if (attempt > this.#connection.retries || request.repeat !== 'always') throw error
        request.onDoubt?.()
        await delay(this.#connection.backoff(attempt), this.#signalOf(request))
      }
    }
  }

  async #sendOnce(request: BrokerRequest): Promise<Response> {
    const { baseUrl, fetch } = this.#connection
    const signal = this.#signalOf(request)
    signal.throwIfAborted()
    const token = await this.#connection.token()
    const body = request.body?.()
    const headers = {
      accept: 'application/json',
      ...request.headers,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const url = baseUrl + request.target
    const response = await fetch(url, {
      method: request.method,
      redirect: 'manual',
      headers,
      signal,
      ...(body !== undefined && { body }),
      ...(body instanceof ReadableStream && { duplex: 'half' as const }),
    }).catch((cause: unknown) => {
      signal.throwIfAborted()
      throw new NetworkError(`cannot reach ${baseUrl}: ${reasonOf(cause)}`, { cause })
    })
    if (response.status >= 400) throw await problemOfResponse(response)
    const elsewhere = redirectProblem(response, url, request.file)
    if (elsewhere === undefined) return response
    await response.body?.cancel()
    throw elsewhere
  }

  #signalOf(request: BrokerRequest): AbortSignal {
    const { signal } = this.#connection
    return request.signal === undefined ? signal : AbortSignal.any([signal, request.signal])
  }

  #waitMs(error: unknown, attempt: number): number {
    return Math.max(retryAfterOf(error) ?? 0, this.#connection.backoff(attempt))
  }
}

function mayRepeat(repeat: Repeat, error: unknown): boolean {
  if (repeat === 'never') return false
  if (error instanceof NetworkError) return repeat === 'always'
  if (!(error instanceof BrokerError)) return false
  if (PROBLEMS[error.code].retry !== 'backoff' || NOT_BY_ITSELF.has(error.code)) return false
  if ((retryAfterOf(error) ?? 0) > LONGEST_RETRY_AFTER_MS) return false
  return repeat === 'always' || !isDoubtful(error)
}

/** True when the broker may have done what was asked. */
function isDoubtful(error: unknown): boolean {
  if (!(error instanceof BrokerError)) return true
  return error.code === 'INTERNAL' || Number(error.fields['httpStatus']) >= 500
}

function retryAfterOf(error: unknown): number | undefined {
  const value = error instanceof BrokerError ? error.fields['retryAfterMs'] : undefined
  return typeof value === 'number' ? value : undefined
}

/** Node says only `fetch failed`, and why in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause
  if (!(cause instanceof Error)) return error.message
  if (cause.message !== '') return cause.message
  return 'code' in cause ? String(cause.code) : error.message
}
