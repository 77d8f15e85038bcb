import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTHeaderParameters, SignJWT } from 'jose'

/** An issuer of OIDC tokens for CI jobs, on this machine. */
export class OidcIssuer implements AsyncDisposable {
  readonly #server = createServer(({ url = '' }, response) => this.#answer(url, response))
  readonly #published: object[] = []
  #key: CryptoKey | undefined
  #kid = ''
  /** What was asked for, in order. */
  readonly requests: string[] = []
  /** Answers instead of the issuer. */
  answer: ((path: string, response: ServerResponse) => boolean) | undefined

  static async start(alg = 'ES256'): Promise<OidcIssuer> {
    const issuer = new OidcIssuer()
    issuer.#server.listen(0, '127.0.0.1')
    await once(issuer.#server, 'listening')
    await issuer.rotate(alg)
    return issuer
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async rotate(alg = 'ES256', isPublished = true): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair(alg)
    this.#key = privateKey
    this.#kid = `key-${this.#published.length + 1}`
    const jwk = { ...(await exportJWK(publicKey)), kid: this.#kid, alg, use: 'sig' }
    if (isPublished) this.#published.push(jwk)
  }

  /** A token as a job gets it, with other claims or header fields where they are given. */
  async token(
    claims: Readonly<Record<string, unknown>> = {},
    header: Partial<JWTHeaderParameters> = {},
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const payload = {
      ...{ iss: this.url, aud: 'broker', sub: 'repo:acme/app:ref:refs/heads/main' },
      ...{ repository: 'acme/app', ref: 'refs/heads/main', iat: now, exp: now + 300 },
      ...claims,
    }
    const protectedHeader = { alg: 'ES256', typ: 'JWT', kid: this.#kid, ...header }
    if (this.#key === undefined) throw new Error('the issuer has no key')
    return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(this.#key)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }

  #answer(path: string, response: ServerResponse): void {
    this.requests.push(path)
    if (this.answer?.(path, response)) return
    const body =
      path === '/.well-known/openid-configuration'
        ? { issuer: this.url, jwks_uri: `${this.url}/keys` }
        : path === '/keys'
          ? { keys: this.#published }
          : undefined
    response.statusCode = body === undefined ? 404 : 200
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
  }
}
