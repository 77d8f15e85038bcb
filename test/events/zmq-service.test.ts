import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, it } from 'node:test'
import { SessionSocket } from '../../src/events/zmq/zmq-bound-socket.ts'
import type { TopicFilter } from '../../src/protocol/topic-filter.ts'
import { dealer } from './zmq-clients.ts'
import { LOOPBACK, startZmq } from './zmq-fixture.ts'
import { RawPeer } from './zmq-raw-peer.ts'

/**
 * Tells when a session socket is bound for the third time, after two tries in vain. No mock of the test runner,
 * which cannot put back what is not configurable, and no events of the socket: of one that libzmq watches, a
 * bind now and then fails with EAGAIN.
 */
function thirdBind(): Disposable & { readonly begun: Promise<void> } {
  const { bind } = SessionSocket.prototype
  const third = Promise.withResolvers<void>()
  let tries = 0
  Object.defineProperty(SessionSocket.prototype, 'bind', {
    configurable: true,
    value(this: SessionSocket, address: string) {
      tries += 1
      if (tries === 3) third.resolve()
      return bind.call(this, address)
    },
  })
  return {
    begun: third.promise,
    [Symbol.dispose]: () => void Reflect.deleteProperty(SessionSocket.prototype, 'bind'),
  }
}

describe('the ZeroMQ service', () => {
  it('opens, closes and opens again at the same ports', async () => {
    const first = await startZmq()
    const addresses = {
      subscribe: LOOPBACK.subscribe.map((each) => ({ ...each, address: first.subscribe })),
      session: LOOPBACK.session.map((each) => ({ ...each, address: first.session })),
    }
    await first[Symbol.asyncDispose]()
    for (let i = 0; i < 5; i += 1) {
      await using again = await startZmq(addresses)
      assert.equal(again.session, first.session)
      using peer = dealer(again.session)
      assert.equal((await peer.ask('PING')).verb, 'PONG')
    }
  })

  it('waits a moment for a port that is about to be free', async () => {
    await using server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const address = `tcp://127.0.0.1:${port}`
    using third = thirdBind()
    const opening = startZmq({ subscribe: [], session: [{ address, security: 'null' }] })
    await Promise.race([third.begun, opening])
    server.close()
    await using fixture = await opening
    assert.equal(fixture.session, address)
  })

  it('runs twice in one process', async () => {
    await using first = await startZmq()
    await using second = await startZmq()
    second.identities.add('only', 'only-token', { subscribe: ['**'] })
    assert.equal(await RawPeer.logIn(second.subscribe, 'only', 'only-token'), 'WELCOME')
    assert.equal(await RawPeer.logIn(first.subscribe, 'only', 'only-token'), 'ERROR 400')
  })

  it('judges each endpoint by its own filter', async () => {
    const endpoint = (filter: string) => ({
      address: 'tcp://127.0.0.1:0',
      security: 'plain' as const,
      filter: filter as TopicFilter,
    })
    await using fixture = await startZmq({
      subscribe: [endpoint('ci/**'), endpoint('other/**')],
      session: [],
    })
    const [ci = '', other = ''] = fixture.service.subscribeEndpoints
    assert.equal(await RawPeer.logIn(ci, 'jenkins', 'jenkins-token'), 'WELCOME')
    assert.equal(await RawPeer.logIn(other, 'jenkins', 'jenkins-token'), 'ERROR 400')
  })

  it('is off without endpoints', async () => {
    await using fixture = await startZmq({ subscribe: [], session: [] })
    assert.deepEqual(fixture.service.subscribeEndpoints, [])
    assert.equal(fixture.service.peerCount, 0)
  })

  it('does not open when an address is taken, and leaves nothing bound', async () => {
    await using first = await startZmq()
    const [session] = LOOPBACK.session
    assert.ok(session)
    const taken = { ...session, address: first.session }
    await assert.rejects(
      startZmq({ subscribe: LOOPBACK.subscribe, session: [taken] }),
      /cannot bind tcp/,
    )
  })

  it('does not open an endpoint without the security that was asked for', async () => {
    const curve = { address: 'tcp://127.0.0.1:0', security: 'curve' as const }
    await assert.rejects(startZmq({ subscribe: [], session: [curve] }), /CURVE/)
  })

  it('forgets a peer when it is gone', async () => {
    await using fixture = await startZmq()
    const peer = dealer(fixture.session)
    await peer.ask('PING')
    assert.equal(fixture.service.peerCount, 1)
    peer[Symbol.dispose]()
    while (fixture.service.peerCount > 0) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(fixture.service.counters.failedCommands, 0)
  })

  it('lets the process end that does not close it', () => {
    const script = `
      import { startZmq } from './test/events/zmq-fixture.ts'
      import { dealer } from './test/events/zmq-clients.ts'
      const fixture = await startZmq()
      const peer = dealer(fixture.session)
      await peer.ask('SUBSCRIBE', 'jenkins-token', 'ci/**', 'earliest')
      await fixture.publish('ci/app', 1)
      process.exit(7)
    `
    const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    assert.deepEqual([status, signal], [7, null])
  })
})
