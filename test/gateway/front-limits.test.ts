import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { DEFAULT_LIMITS } from '../../src/gateway/front/front-options.ts'
import { addressOf, answerOf, assertProblem, Front } from '../support/front.ts'
import { freePort, NGINX_MISSING } from '../support/nginx.ts'

describe('the limits of the front', { skip: NGINX_MISSING }, () => {
  it('refuse more connections from one address than allowed', async () => {
    await using front = await Front.start({ limits: { ...DEFAULT_LIMITS, connections: 1 } })
    const stream = front.open('/events/stream')
    await once(stream, 'response')
    const answer = await front.ask('/livez')
    assertProblem(answer, 429, 'TOO_MANY_REQUESTS')
    assert.equal(answer.headers['retry-after'], '1')
    stream.destroy()
  })

  it('refuse more attempts at streams and tickets than allowed, and no other requests', async () => {
    const limits = { ...DEFAULT_LIMITS, attemptsPerSecond: 1, attemptsBurst: 1 }
    await using front = await Front.start({ limits })
    const many = async (path: string, headers = {}) => {
      const asked = Array.from({ length: 20 }, () => front.ask(path, { headers, method: 'POST' }))
      return (await Promise.all(asked)).filter(({ status }) => status === 429)
    }
    const [ticket] = await many('/auth/tickets')
    assert.ok(ticket)
    assertProblem(ticket, 429, 'TOO_MANY_REQUESTS')
    const [stream] = await many('/events/x', { accept: 'text/event-stream' })
    assert.ok(stream)
    assert.notEqual((await many('/ws')).length, 0)
    assert.deepEqual(await many('/events/x'), [])
    assert.deepEqual(await many('/files/x'), [])
  })

  it('refuse a file that is too large before the broker hears of it', async () => {
    await using front = await Front.start({ maxFileBytes: 1000 })
    const headers = { 'content-length': 2 ** 30 }
    const request = http.request({ port: front.port, path: '/files/x', method: 'PUT', headers })
    request.flushHeaders()
    assertProblem(await answerOf(request), 413, 'TOO_LARGE')
    assert.deepEqual(front.stub.take(), [])
    const body = Buffer.alloc(1000)
    assert.equal((await front.ask('/files/x', { method: 'PUT', body })).body, '1000')
  })

  it('tell a broker that is not there', async () => {
    await using front = await Front.start({ upstream: `127.0.0.1:${await freePort()}` })
    for (const method of ['GET', 'PUT']) {
      const answer = await front.ask('/files/x', { method, body: Buffer.alloc(2 ** 20) })
      assertProblem(answer, 503, 'UNAVAILABLE')
    }
  })
})

describe('TCP through the front', { skip: NGINX_MISSING }, () => {
  it('reaches the ZeroMQ endpoint, within the limit of connections', async () => {
    const endpoint = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
    await once(endpoint, 'listening')
    const port = await freePort()
    const zmq = [{ listen: `127.0.0.1:${port}`, upstream: addressOf(endpoint) }]
    const limits = { ...DEFAULT_LIMITS, zmqConnections: 1 }
    try {
      await using front = await Front.start({ zmq, limits })
      assert.ok(front.port > 0)
      const first = await connectWhenFree(port)
      assert.equal(await isServed(connect(port, '127.0.0.1')), false)
      assert.equal(await isServed(first), true)
      first.destroy()
    } finally {
      endpoint.close()
    }
  })

  /** The connection that found the port open may still be counted. */
  async function connectWhenFree(port: number): Promise<Socket> {
    for (;;) {
      const socket = connect(port, '127.0.0.1')
      if (await isServed(socket)) return socket
    }
  }

  /** True when what is sent comes back, false when the connection is closed instead. */
  function isServed(socket: Socket): Promise<boolean> {
    socket.on('error', () => {})
    socket.write('ping')
    return new Promise((resolve) => {
      socket.once('data', () => resolve(true)).once('close', () => resolve(false))
    })
  }
})
