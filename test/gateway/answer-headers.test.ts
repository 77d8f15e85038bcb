import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { startGateway, type TestGateway, TOKENS } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

describe('every answer', () => {
  let broker: TestGateway
  before(async () => {
    broker = await startGateway({ origins: 'https://dash.example' })
    await broker.request('/files/page.html', { as: 'admin', method: 'PUT', body: '<h1>x' })
  })
  after(() => broker[Symbol.asyncDispose]())

  it('says that it is what it says, and keeps its address to itself', async () => {
    const asks: readonly (readonly [number, string, string, Record<string, string>?])[] = [
      [200, 'GET', '/'],
      [200, 'GET', '/livez'],
      [200, 'GET', '/openapi'],
      [200, 'GET', '/auth/me'],
      [200, 'GET', '/files/page.html'],
      [200, 'GET', '/files/'],
      [200, 'GET', '/events/**'],
      [200, 'GET', '/events/**', { accept: 'text/event-stream' }],
      [200, 'GET', '/events/**', { accept: 'application/x-ndjson' }],
      [201, 'POST', '/events/ci/x'],
      [201, 'PUT', '/files/new'],
      [204, 'DELETE', '/files/new'],
      [204, 'OPTIONS', '/files/new'],
      [204, 'OPTIONS', '/files/new', { origin: 'https://dash.example' }],
      [400, 'GET', '/files/a%2fb'],
      [400, 'GET', '/files/%zz'],
      [405, 'PATCH', '/files/new'],
      [405, 'PROPFIND', '/files/new'],
      [415, 'POST', '/events/ci/x', { 'content-encoding': 'gzip' }],
      [415, 'PUT', '/files/new', { 'content-encoding': 'gzip' }],
      [401, 'GET', '/livez', { authorization: 'Bearer wrong' }],
      [404, 'GET', '/nothing'],
      [405, 'PUT', '/livez'],
      [426, 'GET', '/ws'],
    ]
    for (const [status, method, path, headers = {}] of asks) {
      const answer = await broker.request(path, {
        method,
        headers,
        ...(headers['authorization'] === undefined && { as: 'admin' as const }),
        ...(['PATCH', 'POST', 'PUT'].includes(method) && { body: 'x' }),
      })
      await answer.body?.cancel()
      assert.equal(answer.status, status, `${method} ${path}`)
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff', path)
      assert.equal(answer.headers.get('referrer-policy'), 'no-referrer', path)
      assert.ok(answer.headers.get('x-request-id'), path)
      const policy = answer.headers.get('content-security-policy') ?? ''
      if (path.startsWith('/files/')) assert.match(policy, /^sandbox/, path)
      if (status === 405) assert.match(answer.headers.get('allow') ?? '', /GET/, path)
    }
  })

  it('does so too when the request was none, and when a WebSocket is refused', async () => {
    const socket = connect(Number(new URL(broker.url).port), '127.0.0.1')
    socket.write('nonsense\r\n\r\n')
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1\.1 400 .*x-content-type-options: nosniff\r\n/is)
    await assert.rejects(TestSocket.open(`${broker.wsUrl}/events/**`), ({ response }) => {
      assert.equal(response.headers['x-content-type-options'], 'nosniff')
      // Nginx would keep a connection that says otherwise, and lose the next request on it.
      assert.equal(response.headers.connection, 'close')
      return response.statusCode === 401
    })
  })

  it('has addresses that begin with the path below which clients reach the broker', async () => {
    await using below = await startGateway({ publicUrl: 'https://example.org/broker' })
    const put = { as: 'admin' as const, method: 'PUT', body: 'x' }
    const { headers } = await below.request('/files/a%25b', put)
    assert.equal(headers.get('location'), '/broker/files/a%25b')
    const problem = (await (await below.request('/nothing')).json()) as { type: string }
    assert.equal(problem.type, 'https://example.org/broker/problems/NOT_FOUND')
  })

  it('that is a page lets no other page frame it', async () => {
    for (const path of ['/', '/openapi', '/files/']) {
      const answer = await broker.request(path, { as: 'admin', headers: { accept: 'text/html' } })
      assert.match(answer.headers.get('content-type') ?? '', /^text\/html/, path)
      const policy = answer.headers.get('content-security-policy') ?? ''
      assert.match(policy, /frame-ancestors 'none'/, path)
      assert.doesNotMatch(policy, /unsafe|\*/, path)
    }
    const file = await broker.request('/files/page.html', { as: 'admin' })
    assert.equal(file.headers.get('content-security-policy'), 'sandbox')
  })
})

describe('what a page of another origin may read', () => {
  const LISTED = 'https://dash.example'
  /** Which origin asks of a broker that lists LISTED, with what; whether it is answered, and whom CORS names. */
  const RULES: readonly (readonly [
    origin: string,
    credential: string,
    status: number,
    allowed: string | null,
  ])[] = [
    [LISTED, 'bearer', 200, LISTED],
    [LISTED, 'none', 200, LISTED],
    [LISTED, 'basic', 200, LISTED],
    ['https://evil.example', 'bearer', 200, null],
    ['https://evil.example', 'none', 403, null],
    ['https://evil.example', 'basic', 403, null],
    ['http://dash.example', 'none', 403, null],
    ['https://dash.example.evil.example', 'none', 403, null],
    ['https://dash.example:444', 'none', 403, null],
    ['null', 'none', 403, null],
    ['null', 'basic', 403, null],
  ]
  const CREDENTIALS: Readonly<Record<string, Record<string, string>>> = {
    none: {},
    bearer: { authorization: `Bearer ${TOKENS.reader}` },
    basic: { authorization: `Basic ${btoa(`reader:${TOKENS.reader}`)}` },
  }

  it('follows the table, and no answer lets a browser send credentials by itself', async () => {
    await using broker = await startGateway({ origins: LISTED })
    for (const [origin, credential, status, allowed] of RULES) {
      const where = `${origin} with ${credential}`
      const headers = { origin, ...CREDENTIALS[credential] }
      const answer = await broker.request('/auth/me', { headers })
      assert.equal(answer.status, status, where)
      assert.equal(answer.headers.get('access-control-allow-origin'), allowed, where)
      assert.equal(answer.headers.get('access-control-allow-credentials'), null, where)
      const preflight = await broker.request('/files/x', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'PUT' },
      })
      assert.equal(preflight.headers.get('access-control-allow-origin'), allowed, where)
    }
  })

  it('is nothing where no origin is listed', async () => {
    await using broker = await startGateway()
    for (const [origin, credential, status] of RULES) {
      const headers = { origin, ...CREDENTIALS[credential] }
      const answer = await broker.request('/auth/me', { headers })
      assert.equal(answer.status, credential === 'bearer' ? status : 403, origin)
      assert.equal(answer.headers.get('access-control-allow-origin'), null, origin)
    }
  })
})
