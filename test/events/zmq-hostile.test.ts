import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { dealer, Sub } from './zmq-clients.ts'
import { type Fixture, startZmq } from './zmq-fixture.ts'
import { greeting, RawPeer } from './zmq-raw-peer.ts'

const JENKINS = { user: 'jenkins', token: 'jenkins-token' }

/** What may come before a handshake is over, or instead of one. */
const OPENINGS: readonly Buffer[] = [
  Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  Buffer.alloc(10_000),
  Buffer.alloc(10_000, 0xff),
  randomBytes(10_000),
  greeting('PLAIN'),
  greeting('NULL'),
  greeting('CURVE'),
  greeting('GSSAPI'),
  greeting('NONE'),
  Buffer.concat([greeting('PLAIN'), Buffer.from([4, 6, 5]), Buffer.from('HELLO')]),
  Buffer.concat([greeting('PLAIN'), Buffer.from([4, 255]), randomBytes(255)]),
  Buffer.concat([greeting('NULL'), Buffer.from([4, 6, 5]), Buffer.from('READY')]),
  Buffer.concat([greeting('NULL'), Buffer.from([6, 255, 255, 255, 255, 255, 255, 255, 255])]),
]

async function assertServes(fixture: Fixture): Promise<void> {
  using peer = dealer(fixture.session)
  assert.equal((await peer.ask('PUBLISH', JENKINS.token, 'ci/app', '1')).verb, 'OK')
  const { user, token } = JENKINS
  assert.equal(await RawPeer.logIn(fixture.subscribe, user, token), 'WELCOME')
  assert.deepEqual(
    fixture.logger.lines.filter(({ level }) => level === 'error'),
    [],
  )
}

describe('bytes that are no ZeroMQ', () => {
  it('harm neither door', async () => {
    await using fixture = await startZmq()
    for (const endpoint of [fixture.subscribe, fixture.session]) {
      for (const opening of OPENINGS) {
        using peer = await RawPeer.connect(endpoint)
        peer.write(opening)
      }
    }
    await assertServes(fixture)
  })

  it('on a connection that does nothing else end it', async () => {
    await using fixture = await startZmq()
    using silent = await RawPeer.connect(fixture.subscribe)
    await silent.isClosed
    await assertServes(fixture)
  })
})

describe('a subscriber that forges frames', () => {
  it('cannot make it seem that the others have left', async () => {
    await using fixture = await startZmq()
    using sub = new Sub(fixture.subscribe, JENKINS)
    using forger = await RawPeer.subscriber(fixture.subscribe, JENKINS.user, JENKINS.token)
    let isServed = false
    const first = sub.next().then(() => {
      isServed = true
    })
    while (!isServed) {
      await fixture.publish('ci/warm-up', 0)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await first
    for (let i = 0; i < 10; i += 1) forger.send('\x00')
    forger.send('\x00ci/')
    forger.send('junk')
    // Too long for a subscription: libzmq ends the connection, so all before it has been read.
    forger.write(Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0xff, 0, 0]), Buffer.alloc(5000)]))
    await forger.isClosed
    await fixture.publish('ci/app', 'still there')
    let { event } = await sub.next()
    while (event.data === 0) ({ event } = await sub.next())
    assert.equal(event.data, 'still there')
  })
})
