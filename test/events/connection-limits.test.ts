import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startGateway, type TestGateway, TOKENS } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { TestSocket } from '../support/test-socket.ts'
import { dealer } from './zmq-clients.ts'

const TOO_MANY = /refused: 429/

const STREAMS = ['application/x-ndjson', 'text/event-stream']

function stream(broker: TestGateway, accept: string, { signal } = new AbortController()) {
  const headers = { accept }
  return broker.request('/events/ci/**', { headers, as: 'dashboard', signal })
}

/** A place that became free is free once the broker has seen the close. */
async function eventually(open: () => Promise<TestSocket>): Promise<TestSocket> {
  for (;;) {
    try {
      return await open()
    } catch (error) {
      assert.match(String(error), TOO_MANY)
    }
  }
}

for (const workers of ['0', '1']) {
  describe(`limits of connections with ${workers} workers`, () => {
    it('count those of one user on every transport', async () => {
      const zmqSession = `tcp://127.0.0.1:${await freePort()}`
      await using broker = await startGateway({ workers, connectionsPerUser: '4', zmqSession })
      const ws = (token: string) => TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token })
      using _first = await ws(TOKENS.dashboard)
      const controller = new AbortController()
      for (const accept of STREAMS) {
        assert.equal((await stream(broker, accept, controller)).status, 200)
      }
      using peer = dealer(zmqSession)
      using late = dealer(zmqSession)
      const subscribe = ['SUBSCRIBE', TOKENS.dashboard, 'ci/**', '']
      assert.equal((await peer.ask(...subscribe)).verb, 'OK')
      // More of it on the same connection is not a second one.
      assert.equal((await peer.ask('SUBSCRIBE', TOKENS.dashboard, 'ci/x', '')).verb, 'OK')
      await assert.rejects(ws(TOKENS.dashboard), TOO_MANY)
      for (const accept of STREAMS) {
        const refused = await stream(broker, accept)
        assert.equal(refused.status, 429)
        assert.ok(refused.headers.has('retry-after'))
      }
      assert.equal((await late.ask(...subscribe)).body.code, 'TOO_MANY_REQUESTS')
      using _other = await ws(TOKENS.reader)
      controller.abort()
      using _again = await eventually(() => ws(TOKENS.dashboard))
      using _more = await eventually(() => ws(TOKENS.dashboard))
      peer[Symbol.dispose]()
      while ((await late.ask(...subscribe)).verb !== 'OK');
    })

    it('count who authenticates on the open connection', async () => {
      await using broker = await startGateway({ workers, connectionsPerUser: '1' })
      const open = () => TestSocket.open(`${broker.wsUrl}/ws`)
      using first = await open()
      const auth = { op: 'auth', token: TOKENS.dashboard }
      assert.equal((await first.ask(auth))['op'], 'ok')
      using second = await open()
      const reply = await second.ask(auth)
      assert.equal((reply['problem'] as { code: string }).code, 'TOO_MANY_REQUESTS')
      assert.equal((await second.closed).code, 4429)
      assert.equal((await first.ask(auth))['op'], 'ok', 'renewing is not a second connection')
      first.socket.close()
      await first.closed
      for (;;) {
        using third = await open()
        if ((await third.ask(auth))['op'] === 'ok') break
      }
    })

    it('count those of one address, whoever they are', async () => {
      await using broker = await startGateway({ workers, connectionsPerAddress: '2' })
      const ws = (token: string) => TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token })
      using _first = await ws(TOKENS.dashboard)
      using second = await ws(TOKENS.reader)
      await assert.rejects(ws(broker.adminToken), TOO_MANY)
      // Requests that end are not connections.
      assert.equal((await broker.request('/events/ci/**', { as: 'reader' })).status, 200)
      second.socket.close()
      using _third = await eventually(() => ws(broker.adminToken))
    })
  })
}
