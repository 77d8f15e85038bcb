import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Context } from 'zeromq'
import { ZmqAuthentication } from '../../src/events/zmq/zmq-authentication.ts'
import { zeroCounters } from '../../src/events/zmq/zmq-report.ts'
import { ZmqSessionEndpoint } from '../../src/events/zmq/zmq-session-endpoint.ts'
import { dealer } from './zmq-clients.ts'
import { startZmq } from './zmq-fixture.ts'

const MAX_PEERS = 2

/** An endpoint whose clock is the test's. */
async function startEndpoint() {
  const fixture = await startZmq({ subscribe: [], session: [] })
  const context = new Context({ blocky: false })
  const authentication = await ZmqAuthentication.open(context, fixture.logger)
  const counters = zeroCounters()
  const endpoint = await ZmqSessionEndpoint.open(
    {
      address: 'tcp://127.0.0.1:0',
      mechanism: { kind: 'null' },
      domain: 'test',
      maxEventBytes: 1024 * 1024,
      maxPeers: MAX_PEERS,
    },
    { ...fixture, context, authentication, counters, publicUrl: () => 'https://x' },
  )
  return {
    ...fixture,
    endpoint,
    counters,
    tickLater: () => endpoint.tick(performance.now() + 31_000),
    async [Symbol.asyncDispose]() {
      await endpoint.close()
      await authentication.close()
      await fixture[Symbol.asyncDispose]()
    },
  }
}

describe('a session endpoint', () => {
  it('ends the subscriptions of a peer that is silent, and tells it', async () => {
    await using fixture = await startEndpoint()
    using peer = dealer(fixture.endpoint.endpoint)
    await peer.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', '')
    fixture.endpoint.tick()
    assert.equal(fixture.connections.size, 1)
    fixture.tickLater()
    assert.equal(fixture.connections.size, 0)
    await fixture.publish('ci/app', 1)
    const last = await peer.receive()
    assert.equal(last.body.code, 'REQUEST_TIMEOUT')
    assert.equal(last.body.ends, 'subscriptions')
    assert.equal(last.body.retryAfterSeconds, 1)
    assert.equal((await peer.ask('PING')).verb, 'PONG')
  })

  it('forgets a silent peer without subscriptions', async () => {
    await using fixture = await startEndpoint()
    using peer = dealer(fixture.endpoint.endpoint)
    await peer.ask('PING')
    assert.equal(fixture.endpoint.peerCount, 1)
    fixture.tickLater()
    assert.equal(fixture.endpoint.peerCount, 0)
    assert.equal((await peer.ask('PING')).verb, 'PONG')
  })

  it('gives up a peer that takes nothing of what waits for it', async () => {
    await using fixture = await startEndpoint()
    using peer = dealer(fixture.endpoint.endpoint)
    peer.socket.receiveHighWaterMark = 1
    await peer.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', '')
    const filler = 'x'.repeat(500_000)
    for (let i = 0; i < 200; i += 1) {
      await fixture.publish('ci/app', filler)
      await nextTurn()
    }
    fixture.tickLater()
    assert.equal(fixture.endpoint.peerCount, 0)
    assert.equal(fixture.connections.size, 0)
    assert.equal(fixture.counters.stalledPeers, 1)
  })

  it('has room for a new peer while it knows one that is idle', async () => {
    await using fixture = await startEndpoint()
    const { endpoint } = fixture.endpoint
    using idle = dealer(endpoint)
    using busy = dealer(endpoint)
    using third = dealer(endpoint)
    await busy.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', '')
    await idle.ask('PING')
    await third.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', '')
    assert.equal(fixture.endpoint.peerCount, MAX_PEERS)
    assert.equal(fixture.connections.size, 2)
    const refused = await idle.ask('PING')
    assert.equal(refused.body.code, 'TOO_MANY_REQUESTS')
    assert.equal(refused.body.type, 'https://x/problems/TOO_MANY_REQUESTS')
    assert.equal(fixture.counters.refusedCommands, 1)
  })
})
