import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose'

/** The keys of an issuer could not be had; another try may do. */
export class IssuerUnavailable extends Error {
  override readonly name = 'IssuerUnavailable'
}

/** Keys are fetched for a `kid` that is not known, but no more often than this. */
const REFRESH_MS = 60_000
const KEPT_MS = 10 * 60_000
const REDISCOVER_MS = 60 * 60_000
const TIMEOUT_MS = 5_000
/** An issuer that fails is left in peace for a while, whoever asks. */
const PAUSE_MS = 10_000
const MAX_BYTES = 256 * 1024

interface Discovered {
  readonly keys: Promise<JWTVerifyGetKey>
  readonly sinceMs: number
}

/**
 * The public keys of issuers, found as OpenID Connect Discovery 1.0 says and kept. Only what the users file
 * names is ever asked, and only at its own origin: no redirect, no key set elsewhere.
 */
export class IssuerKeys {
  readonly #now: () => number
  readonly #timeoutMs: number
  readonly #discovered = new Map<string, Discovered>()
  readonly #pausedUntilMs = new Map<string, number>()

  /**
   * @param now - milliseconds since the epoch
   * @param timeoutMs - for one request to an issuer, its body included
   */
  constructor(now: () => number, timeoutMs: number = TIMEOUT_MS) {
    this.#now = now
    this.#timeoutMs = timeoutMs
  }

  /**
   * @param issuer - of a rule of the users file
   * @returns finds the key for a token; throws what `jose` does for an unknown `kid`, else `IssuerUnavailable`
   */
  of(issuer: string): JWTVerifyGetKey {
    return async (header, token) => {
      try {
        return await (await this.#keySet(issuer))(header, token)
      } catch (cause) {
        const isOfToken =
          cause instanceof errors.JWKSNoMatchingKey ||
          cause instanceof errors.JWKSMultipleMatchingKeys
        if (isOfToken || cause instanceof IssuerUnavailable) throw cause
        throw new IssuerUnavailable('the keys of the issuer make no sense', { cause })
      }
    }
  }

  #keySet(issuer: string): Promise<JWTVerifyGetKey> {
    const known = this.#discovered.get(issuer)
    const now = this.#now()
    if (known !== undefined && now < known.sinceMs + REDISCOVER_MS) return known.keys
    const keys = this.#discover(issuer)
    this.#discovered.set(issuer, { keys, sinceMs: now })
    keys.catch(() => this.#discovered.delete(issuer))
    return keys
  }

  async #discover(issuer: string): Promise<JWTVerifyGetKey> {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const signal = AbortSignal.timeout(this.#timeoutMs)
    const metadata: unknown = await (await this.#fetch(issuer, url, signal)).json()
    const { issuer: named, jwks_uri: place } = Object(metadata) as Record<string, unknown>
    const keysUrl = typeof place === 'string' ? URL.parse(place) : null
    if (named !== issuer || keysUrl?.origin !== new URL(issuer).origin) {
      throw new IssuerUnavailable('the issuer names itself, or the place of its keys, otherwise')
    }
    return createRemoteJWKSet(keysUrl, {
      timeoutDuration: this.#timeoutMs,
      cooldownDuration: REFRESH_MS,
      cacheMaxAge: KEPT_MS,
      [customFetch]: (place, options) => this.#fetch(issuer, place, options.signal),
    })
  }

  /** @throws {IssuerUnavailable} for anything but a whole 200 of a bearable size */
  async #fetch(issuer: string, url: string, signal: AbortSignal): Promise<Response> {
    if (this.#now() < (this.#pausedUntilMs.get(issuer) ?? 0)) {
      throw new IssuerUnavailable('the issuer failed a moment ago')
    }
    try {
      const headers = { accept: 'application/json' }
      const response = await fetch(url, { signal, redirect: 'manual', headers })
      if (response.status !== 200) throw new Error(`the issuer answered ${response.status}`)
      return new Response(await boundedBody(response))
    } catch (cause) {
      this.#pausedUntilMs.set(issuer, this.#now() + PAUSE_MS)
      throw new IssuerUnavailable('the issuer could not be asked for its keys', { cause })
    }
  }
}

async function boundedBody({ body }: Response): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > MAX_BYTES) throw new Error(`the issuer answered more than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new Blob(chunks)
}
