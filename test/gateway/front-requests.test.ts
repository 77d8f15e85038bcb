import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, readdir, readFile, rm } from 'node:fs/promises'
import http, { type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  answerOf,
  assertProblem,
  Front,
  SECRET,
  SPOOFED,
  StubBroker,
  temporaryDirectory,
} from '../support/front.ts'
import { NGINX_MISSING } from '../support/nginx.ts'
import { exchange } from '../support/raw-http.ts'

describe('the front', { skip: NGINX_MISSING }, () => {
  let front: Front
  before(async () => {
    front = await Front.start()
  })
  after(async () => {
    await front[Symbol.asyncDispose]()
  })

  it('overwrites what a client says of its identity, wherever it asks', async () => {
    const targets: readonly (readonly [method: string, path: string])[] = [
      ['GET', '/'],
      ['GET', '/livez'],
      ['POST', '/auth/tickets'],
      ['GET', '/ws'],
      ['POST', '/events/ci/x'],
      ['GET', '/events'],
      ['PUT', '/files/x'],
      ['GET', '/files/x'],
      ['DELETE', '/files/x'],
      ['POST', '/uploads'],
      ['PATCH', '/uploads/1'],
    ]
    for (const [method, path] of targets) {
      const { status } = await front.ask(path, {
        method,
        headers: { ...SPOOFED, host: 'broker.example:8088' },
      })
      assert.equal(status, 200, path)
      const seen = front.stub.take()
      assert.equal(seen.length, method === 'PUT' ? 2 : 1, path)
      for (const { url, headers } of seen) {
        const asked = url === '/auth/upload'
        assert.match(String(headers['x-request-id']), /^[0-9a-f]{32}$/)
        const { 'x-request-id': _id, ...rest } = Object.fromEntries(
          Object.keys(SPOOFED).map((name) => [name, headers[name]]),
        )
        assert.deepEqual(
          rest,
          {
            forwarded: undefined,
            'x-forwarded-for': '127.0.0.1',
            'x-forwarded-proto': 'http',
            'x-forwarded-host': 'broker.example:8088',
            'x-client-verify': undefined,
            'x-client-cert': undefined,
            'x-broker-proxy': SECRET,
            'x-original-method': asked ? method : undefined,
            'x-original-uri': asked ? path : undefined,
            'x-original-length': asked ? '0' : undefined,
          },
          path,
        )
        assert.equal(headers.host, 'broker.example:8088')
      }
    }
  })

  it('passes the target on as it came', async () => {
    for (const path of ['/files/a%2Fb//c/../d?x=%zz', '/%66iles/x', '/events/ci/%2A;a']) {
      await front.ask(path)
      assert.deepEqual(
        front.stub.take().map(({ url }) => url),
        [path],
      )
    }
  })

  it('answers HTTP/1.0 without a Host', async () => {
    const socket = connect(front.port, '127.0.0.1')
    socket.write('GET /livez HTTP/1.0\r\n\r\n')
    const [answer] = await once(socket, 'data')
    assert.match(String(answer), /^HTTP\/1.1 200 /)
    assert.deepEqual(
      front.stub.take().map(({ url, headers }) => [url, headers.host]),
      [['/livez', 'broker']],
    )
  })

  it('lets nobody in where only Nginx asks', async () => {
    const paths = [
      '/auth/upload',
      '/auth//upload',
      '/auth/%75pload',
      '/x/../auth/upload?a',
      '/-/upload',
      '/-/serve/default/serve/link',
      '/-/problem/404',
      '/-/x',
    ]
    for (const path of paths) assertProblem(await front.ask(path), 404, 'NOT_FOUND')
    assert.deepEqual(front.stub.take(), [])
  })

  it('passes an upgrade to WebSocket on /ws and /events, and no other upgrade', async () => {
    const upgrade = (protocol: string) => ({ connection: 'Upgrade', upgrade: protocol })
    for (const path of ['/ws', '/events/ci/**', '/events']) {
      const request = front.open(path, { headers: upgrade('WebSocket') })
      const [response, socket, head] = await once(request, 'upgrade')
      assert.equal(response.statusCode, 101)
      const [more = head] = head.length > 0 ? [] : await once(socket, 'data')
      assert.equal(String(more), 'hi')
      socket.destroy()
    }
    front.stub.take()
    const ordinary = [
      ...['/', '/files/x', '/uploads', '/auth/me', '/wsx'].map((path) => [path, 'websocket']),
      ['/ws', 'h2c'],
      ['/events', 'tls/1.3'],
    ] as const
    for (const [path = '', protocol = ''] of ordinary) {
      assert.equal((await front.ask(path, { headers: upgrade(protocol) })).status, 200)
      const [seen] = front.stub.take()
      assert.equal(seen?.headers.upgrade, undefined, path)
      assert.equal(seen?.headers.connection, undefined, path)
    }
  })

  it('passes on each part of a stream as it comes', async () => {
    const request = front.open('/events/stream')
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    for (const part of ['data: first\n\n', 'data: second\n\n']) {
      const [chunk] = await once(response, 'data')
      assert.equal(String(chunk), part)
      front.stub.streams[0]?.write('data: second\n\n')
    }
    request.destroy()
    front.stub.take()
  })

  it('passes on an upload while it comes', async () => {
    const request = http.request({ port: front.port, path: '/files/slow', method: 'PUT' })
    request.setHeader('content-length', 10)
    const arrived = once(front.stub.server, 'body')
    request.write('12345')
    await arrived
    request.end('67890')
    assert.equal((await answerOf(request)).body, '10')
    const chunked = http.request({ port: front.port, path: '/files/slow', method: 'PUT' })
    chunked.write('abc')
    chunked.end('def')
    assert.equal((await answerOf(chunked)).body, '6')
    front.stub.take()
  })

  it('refuses a large upload with the words of the broker, before its body', async () => {
    const body = Buffer.alloc(64 * 2 ** 20)
    for (let i = 0; i < 10; i += 1) {
      const path = '/files/refuse/403?x=1'
      const answer = await front.ask(path, {
        method: 'PUT',
        body,
        headers: { authorization: 'B x' },
      })
      assertProblem(answer, 403, 'OF_THE_BROKER')
      assert.equal(answer.headers['cache-control'], 'no-store')
      assert.equal(JSON.parse(answer.body).target, path)
    }
    const seen = front.stub.take()
    assert.deepEqual(
      [...new Set(seen.map(({ method, url }) => `${method} ${url}`))],
      ['GET /auth/upload'],
    )
    assert.deepEqual([...new Set(seen.map(({ headers }) => headers['x-original-method']))], ['PUT'])
    assert.deepEqual([...new Set(seen.map(({ headers }) => headers.authorization))], ['B x'])
    assert.deepEqual(
      seen.filter(({ headers }) => headers['content-length'] !== undefined),
      [],
    )
    const spooled = await readdir(join(front.dir, 'run/client-body'))
    assert.deepEqual(spooled, [])
  })

  it('refuses an upload with whatever status and headers the broker has for it', async () => {
    const body = Buffer.alloc(2 ** 20)
    for (const status of [400, 401, 403, 404, 409, 412, 413, 422, 428, 429, 507]) {
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }, { expect: '100-continue' }]) {
        const method = status % 2 === 0 ? 'PUT' : 'POST'
        const answer = await front.ask(`/files/refuse/${status}`, { method, body, headers })
        assertProblem(answer, status, 'OF_THE_BROKER')
        if (status === 401) {
          assert.equal(answer.headers['www-authenticate'], 'Bearer realm="broker"')
        }
        assert.equal(answer.headers['retry-after'], status === 429 ? '7' : undefined)
      }
    }
    assertProblem(await front.ask('/files/refuse/500', { method: 'PUT', body }), 503, 'UNAVAILABLE')
    assert.ok(front.stub.take().every(({ url }) => url === '/auth/upload'))
  })

  it('answers what it refuses by itself with problems', async () => {
    const long = 'a'.repeat(40_000)
    assertProblem(await front.ask(`/${long}`), 414, 'TARGET_TOO_LONG')
    assertProblem(await front.ask('/', { headers: { long } }), 431, 'HEADERS_TOO_LARGE')
    const headers = { 'content-length': 2 ** 30 }
    const request = http.request({ port: front.port, path: '/events/x', method: 'POST', headers })
    request.flushHeaders()
    assertProblem(await answerOf(request), 413, 'TOO_LARGE')
    const raw = connect(front.port, '127.0.0.1')
    raw.end('GET / HTTP/1.1\r\nnonsense\r\n\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of raw) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    assert.match(text, /^HTTP\/1.1 400 .*application\/problem\+json.*REQUEST_INVALID/s)
    assert.doesNotMatch(text, /nginx\//)
    for (const path of ['/%zz', '/files/%', '/files/%00', '/files/../../x']) {
      assertProblem(await front.ask(path), 400, 'TARGET_INVALID')
      const put = { method: 'PUT', body: Buffer.from('x') }
      assertProblem(await front.ask(path, put), 400, 'TARGET_INVALID')
    }
    for (const line of ['HELLO', 'GET x HTTP/1.1', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b']) {
      assert.match(await exchange(front.port, `${line}\r\n\r\n`), /"code":"REQUEST_INVALID"/)
    }
    assert.deepEqual(front.stub.take(), [])
  })

  it('logs the path without its query, and the id that the broker sees', async () => {
    await front.ask('/events/logged?ticket=very-secret')
    const [seen] = front.stub.take()
    const log = await readFile(join(front.dir, 'run/access.log'), 'utf8')
    const entries = log
      .trimEnd()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line))
    const entry = entries.find(({ requestId }) => requestId === seen?.headers['x-request-id'])
    assert.equal(entry?.['path'], '/events/logged')
    assert.equal(entry?.['status'], '200')
    assert.doesNotMatch(log, /very-secret/)
  })
})

describe('the front before a unix socket', { skip: NGINX_MISSING }, () => {
  it('reaches the broker', async () => {
    const dir = await temporaryDirectory()
    await using stub = new StubBroker()
    const socket = join(dir, 'http.sock')
    const upstream = await stub.listen(socket)
    await chmod(socket, 0o777)
    try {
      await using front = await Front.start({ upstream })
      assert.equal((await front.ask('/livez')).status, 200)
      assert.deepEqual(
        stub.take().map(({ url }) => url),
        ['/livez'],
      )
    } finally {
      await rm(dir, { recursive: true })
    }
  })
})
