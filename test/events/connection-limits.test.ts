import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startGateway, type TestGateway, TOKENS } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

const TOO_MANY = /refused: 429/

function lines(broker: TestGateway, controller = new AbortController()) {
  const headers = { accept: 'application/x-ndjson' }
  const { signal } = controller
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
      await using broker = await startGateway({ workers, connectionsPerUser: '2' })
      const ws = (token: string) => TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token })
      using _first = await ws(TOKENS.dashboard)
      const controller = new AbortController()
      assert.equal((await lines(broker, controller)).status, 200)
      await assert.rejects(ws(TOKENS.dashboard), TOO_MANY)
      const refused = await lines(broker)
      assert.equal(refused.status, 429)
      assert.ok(refused.headers.has('retry-after'))
      using _other = await ws(TOKENS.reader)
      controller.abort()
      using _again = await eventually(() => ws(TOKENS.dashboard))
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
