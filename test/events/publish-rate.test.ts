import assert from 'node:assert/strict'
import { it } from 'node:test'
import { PublishRate } from '../../src/events/publish/publish-rate.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { startGateway } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { TestSocket } from '../support/test-socket.ts'
import { dealer } from './zmq-clients.ts'

function isRefused(rate: PublishRate, user: string, events = 1): number | undefined {
  try {
    rate.spend(user, events)
    return undefined
  } catch (error) {
    assert.ok(error instanceof BrokerError)
    assert.equal(error.code, 'TOO_MANY_REQUESTS')
    return Number(error.fields?.['retryAfterSeconds'])
  }
}

it('a user may spend a second at once, then as time goes by', () => {
  let now = 5000
  const rate = new PublishRate(10, () => now)
  for (let n = 0; n < 11; n += 1) assert.equal(isRefused(rate, 'a'), undefined, String(n))
  assert.equal(isRefused(rate, 'a'), 1)
  assert.equal(isRefused(rate, 'b'), undefined)
  now += 100
  assert.equal(isRefused(rate, 'a'), undefined)
  assert.equal(isRefused(rate, 'a'), 1)
})

it('a batch is taken whole and made good before the next', () => {
  let now = 0
  const rate = new PublishRate(10, () => now)
  assert.equal(isRefused(rate, 'a', 100), undefined)
  assert.equal(isRefused(rate, 'a'), 9)
  now += 9000
  assert.equal(isRefused(rate, 'a'), undefined)
})

it('who publishes too fast is told when to try again, on every door', async () => {
  const zmqSession = `tcp://127.0.0.1:${await freePort()}`
  await using broker = await startGateway({ publishRate: '2', zmqSession })
  using socket = await TestSocket.open(`${broker.wsUrl}/ws`, { token: broker.adminToken })
  const body = '1\n'.repeat(18)
  const headers = { 'content-type': 'application/x-ndjson' }
  const init = { method: 'POST', body, headers, as: 'admin' } as const
  assert.equal((await broker.request('/events/a', init)).status, 201)
  const refused = await broker.request('/events/a', init)
  assert.equal(refused.status, 429)
  assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]$/)
  const reply = await socket.ask({ op: 'publish', topic: 'a', data: 1 })
  assert.equal((reply['problem'] as { code: string }).code, 'TOO_MANY_REQUESTS')
  using peer = dealer(zmqSession)
  const { verb, body: problem } = await peer.ask('PUBLISH', broker.adminToken, 'a', '1')
  assert.deepEqual([verb, problem.code], ['ERROR', 'TOO_MANY_REQUESTS'])
  assert.ok(problem.retryAfterSeconds >= 1)
})
