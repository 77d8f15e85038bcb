import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Dealer, XSubscriber } from 'zeromq'
import type { TopicFilter } from '../../src/protocol/topic-filter.ts'
import { draft } from '../support/events.ts'
import { Sub } from './zmq-clients.ts'
import { ALL, type Fixture, startZmq } from './zmq-fixture.ts'
import { greeting, RawPeer } from './zmq-raw-peer.ts'

const JENKINS = { user: 'jenkins', token: 'jenkins-token' }

const EVERYTHING = {
  subscribe: [
    { address: 'tcp://127.0.0.1:0', security: 'plain', filter: '**' as TopicFilter },
  ] as const,
  session: [],
}

/** Resolves when `sub` has received what is published, which is a moment after it has connected. */
async function isServed({ publish }: Fixture, sub: Sub): Promise<void> {
  const state = { isServed: false, count: 0 }
  const first = sub.next().then(({ event }) => {
    state.isServed = true
    return event.data as number
  })
  while (!state.isServed) {
    state.count += 1
    await publish('ci/warm-up', state.count)
    await nextTurn()
  }
  for (let last = await first; last < state.count; last += 1) await sub.next()
}

/** More of them than what the system holds for a connection. */
const PADDING = 'x'.repeat(1000)

/** Commits `count` events in one turn of the loop, 500 at a time, numbered from `first` on. */
async function burst({ log }: Fixture, first: number, count: number): Promise<void> {
  const drafts = Array.from({ length: count }, (_, i) => draft('ci/app', [first + i, PADDING]))
  const appends = []
  for (let at = 0; at < count; at += 500) appends.push(log.append(drafts.slice(at, at + 500)))
  await Promise.all(appends)
}

/** The next `count` are those of a burst, after what warmed up who connected later. */
async function hasBurst(sub: Sub, first: number, count: number): Promise<void> {
  let last = await sub.next()
  while (last.topic === 'ci/warm-up') last = await sub.next()
  for (let i = first; ; last = await sub.next()) {
    assert.equal(last.event.data[0], i)
    i += 1
    if (i === first + count) return
  }
}

async function connected(fixture: Fixture, credentials = JENKINS): Promise<Sub> {
  const sub = new Sub(fixture.subscribe, credentials)
  await isServed(fixture, sub)
  return sub
}

describe('a subscribe endpoint', () => {
  it('tells the events of its filter as topic and event, in order', async () => {
    await using fixture = await startZmq()
    using sub = await connected(fixture)
    await fixture.publish('other/x', 0)
    for (let i = 1; i <= 1000; i += 1) await fixture.publish('ci/app', i)
    for (let i = 1; i <= 1000; i += 1) {
      const { topic, event } = await sub.next()
      assert.equal(topic, 'ci/app')
      assert.equal(event.topic, 'ci/app')
      assert.equal(event.data, i)
    }
  })

  it('lets subscribers choose by prefix', async () => {
    await using fixture = await startZmq()
    using sub = await connected(fixture)
    sub.socket.unsubscribe('')
    sub.socket.subscribe('ci/b')
    // A prefix of one and not of the other: when it arrives, the change has arrived too.
    let served = 0
    const first = sub.next()
    void first.then(() => {
      served += 1
    })
    while (served === 0) {
      await fixture.publish('ci/b', 0)
      await nextTurn()
    }
    await fixture.publish('ci/a', 1)
    await fixture.publish('ci/b', 2)
    for (;;) {
      const { topic, event } = await sub.next()
      if (topic !== 'ci/b') assert.ok(topic === 'ci/warm-up', topic)
      if (event.data === 2) break
    }
  })

  it('loses nothing of a burst', async () => {
    await using fixture = await startZmq()
    await using cleanup = new AsyncDisposableStack()
    const subs: Sub[] = []
    for (let i = 0; i < 4; i += 1) subs.push(cleanup.use(await connected(fixture)))
    await burst(fixture, 1, 20_000)
    await Promise.all(subs.map((sub) => hasBurst(sub, 1, 20_000)))
    assert.equal(fixture.service.counters.droppedEvents, 0)
  })

  it('keeps the others going while one does not read, and counts what that one loses', async () => {
    await using fixture = await startZmq()
    // It subscribes and never reads.
    using frozen = await RawPeer.subscriber(fixture.subscribe, 'jenkins', 'jenkins-token')
    frozen.pause()
    frozen.send('\x01')
    using sub = await connected(fixture)
    let sent = 0
    while (fixture.service.counters.droppedEvents === 0) {
      await burst(fixture, sent + 1, 5000)
      await hasBurst(sub, sent + 1, 5000)
      sent += 5000
    }
    await burst(fixture, sent + 1, 5000)
    await hasBurst(sub, sent + 1, 5000)
    assert.equal(fixture.service.counters.droppedEvents, 1)
    await fixture.logger.line('events.zmq.slow')
  })

  it('never tells of the users file', async () => {
    await using fixture = await startZmq(EVERYTHING)
    using sub = await connected(fixture, { user: 'root', token: 'root-token' })
    const draft = (topic: string) => ({
      topic: topic as never,
      id: topic,
      json: '{"data":1',
      user: null,
    })
    await fixture.log.append([
      draft('files/config/broker_users.xml'),
      draft('files/config'),
      draft('files/configuration'),
    ])
    assert.equal((await sub.next()).topic, 'files/configuration')
  })

  it('refuses a wrong token, another user, an unknown one and one without the right', async () => {
    await using fixture = await startZmq()
    for (const [user, token, code] of [
      ['jenkins', 'wrong', 'CREDENTIAL_INVALID'],
      ['root', 'jenkins-token', 'CREDENTIAL_INVALID'],
      ['nobody', 'nothing', 'CREDENTIAL_INVALID'],
      ['other', 'other-token', 'FORBIDDEN'],
    ] as const) {
      assert.equal(await RawPeer.logIn(fixture.subscribe, user, token), 'ERROR 400')
      const fields = fixture.logger.lines.at(-1)?.fields
      assert.deepEqual(fields, {
        event: 'events.zmq.refused',
        endpoint: fixture.subscribe,
        address: '127.0.0.1',
        user,
        code,
        ...(code === 'FORBIDDEN' && { missing: 'subscribe ci/**' }),
      })
    }
    assert.equal(fixture.service.counters.refusedConnections, 4)
    assert.ok(!JSON.stringify(fixture.logger.lines).includes('-token'))
  })

  it('asks for the right to list where files are told', async () => {
    await using fixture = await startZmq(EVERYTHING)
    fixture.identities.add('watcher', 'watcher-token', { subscribe: ['**'] })
    const answer = await RawPeer.logIn(fixture.subscribe, 'watcher', 'watcher-token')
    assert.equal(answer, 'ERROR 400')
    const { fields } = await fixture.logger.line('events.zmq.refused')
    assert.equal(fields['missing'], 'list **')
  })

  it('counts attempts by the user name, and lets one who is throttled come again', async () => {
    await using fixture = await startZmq()
    fixture.identities.throttled.add('zmq:jenkins')
    using sub = new Sub(fixture.subscribe, JENKINS)
    const { fields } = await fixture.logger.line('events.zmq.refused')
    assert.equal(fields['code'], 'TOO_MANY_REQUESTS')
    fixture.identities.throttled.clear()
    await isServed(fixture, sub)
  })

  it('keeps a token that was sent as user name out of the log', async () => {
    await using fixture = await startZmq()
    const token = `dbk_${'a'.repeat(36)}`
    assert.equal(await RawPeer.logIn(fixture.subscribe, token, token), 'ERROR 400')
    assert.equal(fixture.service.counters.refusedConnections, 1)
    assert.ok(!JSON.stringify(fixture.logger.lines).includes(token))
  })

  it('serves nobody who comes without PLAIN, and lives on', async () => {
    await using fixture = await startZmq()
    using anonymous = new Sub(fixture.subscribe, null)
    using raw = await RawPeer.connect(fixture.subscribe)
    raw.write(greeting('NULL'))
    await raw.isClosed
    using sub = await connected(fixture)
    await fixture.publish('ci/app', 1)
    assert.equal((await sub.next()).event.data, 1)
    anonymous.socket.receiveTimeout = 0
    await assert.rejects(anonymous.socket.receive(), { code: 'EAGAIN' })
  })

  it('takes junk from its subscribers without harm', async () => {
    await using fixture = await startZmq()
    using sub = await connected(fixture)
    const junk = new XSubscriber({
      linger: 0,
      plainUsername: JENKINS.user,
      plainPassword: JENKINS.token,
    })
    const stranger = new Dealer({
      linger: 0,
      plainUsername: JENKINS.user,
      plainPassword: JENKINS.token,
    })
    try {
      junk.connect(fixture.subscribe)
      stranger.connect(fixture.subscribe)
      await junk.send('')
      await junk.send(Buffer.from([0]))
      await junk.send(Buffer.from('\x00ci/'))
      await junk.send(Array.from({ length: 50 }, () => ''))
      await junk.send(Buffer.from('\x01ci/'))
      await junk.send(Buffer.alloc(4096, 1))
      await junk.send(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))
      // When this comes back, all of the above has been read.
      let isServed = false
      void junk.receive().then(() => {
        isServed = true
      })
      let count = 0
      while (!isServed) {
        await fixture.publish('ci/app', ++count)
        await nextTurn()
      }
      await junk.send(Buffer.alloc(100_000, 1))
      await fixture.publish('ci/last', 0)
      let last = await sub.next()
      while (last.topic !== 'ci/last') last = await sub.next()
      assert.deepEqual(
        fixture.logger.lines.filter(({ level }) => level === 'error'),
        [],
      )
    } finally {
      junk.close()
      stranger.close()
    }
  })

  it('is bound anew when somebody loses the right, and the others come back', async () => {
    await using fixture = await startZmq()
    using gone = await connected(fixture)
    using stays = await connected(fixture, { user: 'root', token: 'root-token' })
    const { subscribe } = fixture
    fixture.identities.remove('jenkins-token')
    fixture.judge()
    await fixture.publish('ci/app', 'secret')
    await isServed(fixture, stays)
    const refused = await fixture.logger.line('events.zmq.refused')
    assert.equal(refused.fields['user'], 'jenkins')
    gone.socket.receiveTimeout = 0
    for (;;) {
      const frames = await gone.socket.receive().catch(() => undefined)
      if (frames === undefined) break
      assert.equal(String(frames[0]), 'ci/warm-up')
    }
    assert.deepEqual(fixture.service.subscribeEndpoints, [subscribe])
    assert.equal(fixture.service.counters.rebinds, 1)
    const { fields } = await fixture.logger.line('events.zmq.rebind')
    assert.equal(fields['user'], 'jenkins')
  })

  it('is bound anew when a grant is narrowed', async () => {
    await using fixture = await startZmq()
    using _ = await connected(fixture)
    fixture.identities.add('jenkins', 'jenkins-token', { subscribe: ['ci/app'] })
    fixture.judge()
    const { fields } = await fixture.logger.line('events.zmq.refused')
    assert.equal(fields['missing'], 'subscribe ci/**')
  })

  it('is bound anew when a token expires', async () => {
    await using fixture = await startZmq()
    fixture.identities.add('jenkins', 'short', ALL, Date.now() + 500)
    using peer = await RawPeer.subscriber(fixture.subscribe, 'jenkins', 'short')
    await peer.isClosed
    assert.equal(fixture.service.counters.rebinds, 1)
  })

  it('is bound anew when more is subscribed to than it keeps, and the others come back', async () => {
    await using fixture = await startZmq()
    using stays = await connected(fixture)
    using peer = await RawPeer.subscriber(fixture.subscribe, 'jenkins', 'jenkins-token')
    for (let i = 0; i <= 20_000; i += 1) peer.send(`\x01ci/${i}/`)
    await peer.isClosed
    const { fields } = await fixture.logger.line('events.zmq.rebind')
    assert.ok(Number(fields['prefixes']) > 20_000)
    await isServed(fixture, stays)
    assert.equal(fixture.service.counters.rebinds, 1)
  })

  it('stays bound when nobody on it loses a right', async () => {
    await using fixture = await startZmq()
    using sub = await connected(fixture)
    fixture.identities.remove('other-token')
    fixture.identities.add('jenkins', 'jenkins-token', { subscribe: ['ci/**', 'more/**'] })
    fixture.judge()
    await fixture.publish('ci/app', 1)
    assert.equal((await sub.next()).event.data, 1)
    assert.equal(fixture.service.counters.rebinds, 0)
  })
})
