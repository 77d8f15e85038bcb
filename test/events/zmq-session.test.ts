import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { type Answer, dealer, type Peer, request } from './zmq-clients.ts'
import { ALL, type Fixture, rightsOf, startZmq } from './zmq-fixture.ts'

const JENKINS = 'jenkins-token'

function assertProblem(answer: Answer, code: string): void {
  assert.equal(answer.verb, 'ERROR', answer.parts.join(' '))
  assert.equal(answer.body.code, code)
}

async function subscribe(peer: Peer, filter = 'ci/**', since = ''): Promise<Answer> {
  const answer = await peer.ask('SUBSCRIBE', JENKINS, filter, since)
  assert.equal(answer.verb, 'OK', answer.parts.join(' '))
  return answer
}

async function takeEvents(peer: Peer, count: number): Promise<Answer[]> {
  const events: Answer[] = []
  while (events.length < count) {
    const answer = await peer.receive()
    assert.equal(answer.verb, 'EVENT')
    events.push(answer)
  }
  return events
}

async function stored(fixture: Fixture): Promise<unknown[]> {
  const query = { after: 0, filters: ['**' as never], limit: 1000 }
  const { events } = await fixture.log.read(query)
  return events.map(({ json }) => JSON.parse(json.toString()))
}

describe('PUBLISH', () => {
  it('stores an event and answers with its id and position', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const answer = await peer.ask('PUBLISH', JENKINS, 'ci/app', '{"n":12345678901234567890}')
    assert.equal(answer.verb, 'OK')
    assert.equal(answer.parts.length, 2)
    assert.deepEqual(Object.keys(answer.body), ['id', 'position', 'duplicate'])
    assert.equal(answer.body.position, 'e1:1')
    assert.equal(answer.body.duplicate, false)
    const query = { after: 0, filters: ['**' as never], limit: 10 }
    const { events } = await fixture.log.read(query)
    const text = events[0]?.json.toString() ?? ''
    assert.ok(text.includes('"data":{"n":12345678901234567890}'), text)
    const event = JSON.parse(text)
    assert.equal(event.type, 'message')
    assert.equal(event.source, '/users/jenkins')
    assert.equal(event.datacontenttype, 'application/json')
    assert.equal(event.topic, 'ci/app')
  })

  it('of a REQ socket is answered behind its empty frame', async () => {
    await using fixture = await startZmq()
    using peer = request(fixture.session)
    assert.equal((await peer.ask('PUBLISH', JENKINS, 'ci/app', '1')).body.position, 'e1:1')
    assert.equal((await peer.ask('PUBLISH', JENKINS, 'ci/app', '2')).body.position, 'e1:2')
    assertProblem(await peer.ask('PUBLISH', 'wrong', 'ci/app', '3'), 'CREDENTIAL_INVALID')
    assert.equal((await peer.ask('PING')).verb, 'PONG')
  })

  it('takes JSON as JSON, other text as text and other bytes as base64', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    for (const payload of ['[1]', 'plain', Buffer.from([0xff, 0x00]), '']) {
      assert.equal((await peer.ask('PUBLISH', JENKINS, 'ci/app', payload)).verb, 'OK')
    }
    const events = (await stored(fixture)) as Record<string, unknown>[]
    assert.deepEqual(
      events.map(({ data, data_base64, datacontenttype }) => [data, data_base64, datacontenttype]),
      [
        [[1], undefined, 'application/json'],
        ['plain', undefined, 'text/plain'],
        [undefined, '/wA=', 'application/octet-stream'],
        [undefined, undefined, undefined],
      ],
    )
  })

  it('takes attributes from its fifth frame', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const attributes = {
      type: 'build.finished',
      id: 'b1',
      source: '/ci',
      datacontenttype: 'text/plain',
    }
    await peer.ask('PUBLISH', JENKINS, 'ci/app', '42', JSON.stringify(attributes))
    const [event] = (await stored(fixture)) as Record<string, unknown>[]
    assert.deepEqual({ ...event, ...attributes, data: '42' }, event)
  })

  it('of the same id again is acknowledged with the first position and stored once', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const attributes = JSON.stringify({ id: 'b1', source: '/ci' })
    const first = await peer.ask('PUBLISH', JENKINS, 'ci/app', '1', attributes)
    const second = await peer.ask('PUBLISH', JENKINS, 'ci/app', '1', attributes)
    assert.equal(second.body.position, first.body.position)
    assert.equal(second.body.duplicate, true)
    assert.equal((await stored(fixture)).length, 1)
    assertProblem(await peer.ask('PUBLISH', JENKINS, 'ci/lib', '1', attributes), 'EVENT_CONFLICT')
  })

  it('is refused without the right, with a wrong token and without any', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    assertProblem(await peer.ask('PUBLISH', JENKINS, 'other/x', '1'), 'FORBIDDEN')
    assertProblem(await peer.ask('PUBLISH', 'wrong', 'ci/app', '1'), 'CREDENTIAL_INVALID')
    assertProblem(await peer.ask('PUBLISH', '', 'ci/app', '1'), 'UNAUTHENTICATED')
    assertProblem(await peer.ask('PUBLISH', 'root-token', 'files/x', '1'), 'TOPIC_RESERVED')
    fixture.identities.anonymousRights = rightsOf({ publish: ['ci/**'] })
    assert.equal((await peer.ask('PUBLISH', '', 'ci/app', '1')).verb, 'OK')
    assert.equal(fixture.service.counters.failedCommands, 4)
  })

  it('is refused from the moment its token is gone, has other grants or has expired', async () => {
    await using fixture = await startZmq()
    const { identities, session } = fixture
    using peer = dealer(session)
    const publish = (token: string) => peer.ask('PUBLISH', token, 'ci/app', '1')
    assert.equal((await publish(JENKINS)).verb, 'OK')
    assert.equal((await publish(JENKINS)).verb, 'OK')
    assert.equal(identities.attempts.filter(({ secret }) => secret === JENKINS).length, 1)
    identities.add('jenkins', JENKINS, { publish: ['other/**'] })
    assertProblem(await publish(JENKINS), 'FORBIDDEN')
    identities.remove(JENKINS)
    assertProblem(await publish(JENKINS), 'CREDENTIAL_INVALID')
    identities.add('jenkins', 'short', ALL, Date.now() + 60_000)
    assert.equal((await publish('short')).verb, 'OK')
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 60_000 })
    identities.attempts.length = 0
    await publish('short')
    mock.timers.reset()
    assert.equal(identities.attempts.length, 1)
  })

  it('counts attempts by the hash of the token and never by the token', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await peer.ask('PUBLISH', 'wrong', 'ci/app', '1')
    const { from } = fixture.identities.attempts.at(-1) ?? { from: '' }
    assert.match(from, /^zmq:[0-9a-f]{64}$/)
    fixture.identities.throttled.add(from)
    assertProblem(await peer.ask('PUBLISH', 'wrong', 'ci/app', '1'), 'TOO_MANY_REQUESTS')
    assert.ok(!JSON.stringify(fixture.logger.lines).includes('wrong'))
  })

  it('of many at once is answered in their order, refusals included', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const count = 2000
    const sent = (async () => {
      for (let i = 0; i < count; i += 1) {
        await peer.send('PUBLISH', i % 3 === 0 ? 'wrong' : JENKINS, 'ci/app', `${i}`)
      }
    })()
    let position = 0
    for (let i = 0; i < count; i += 1) {
      const answer = await peer.receive()
      if (i % 3 === 0) assertProblem(answer, 'CREDENTIAL_INVALID')
      else {
        position += 1
        assert.equal(answer.body.position, `e1:${position}`)
      }
    }
    await sent
  })

  it('of an event that is too long is refused, a far longer one is not even read', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const long = Buffer.alloc(1024 * 1024 + 1, 'x')
    assertProblem(await peer.ask('PUBLISH', JENKINS, 'ci/app', long), 'TOO_LARGE')
    await peer.send('PUBLISH', JENKINS, 'ci/app', Buffer.alloc(2 * 1024 * 1024))
    // What this peer sends next may be lost together with its connection.
    using other = dealer(fixture.session)
    assert.equal((await other.ask('PUBLISH', JENKINS, 'ci/app', '1')).verb, 'OK')
    assert.equal((await stored(fixture)).length, 1)
  })
})

describe('SUBSCRIBE', () => {
  it('tells live events as topic and event', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await fixture.publish('ci/before', 0)
    const { body } = await subscribe(peer)
    assert.deepEqual(body, { position: 'e1:1', recovered: true })
    await fixture.publish('other/x', 1)
    await fixture.publish('ci/app', 2)
    const event = await peer.receive()
    assert.equal(event.parts.length, 3)
    assert.deepEqual(event.parts.slice(0, 2), ['EVENT', 'ci/app'])
    assert.equal(event.body.data, 2)
    assert.equal(event.body.position, 'e1:3')
  })

  it('replays since the earliest in order, then goes on live', async () => {
    await using fixture = await startZmq()
    for (let i = 0; i < 2500; i += 1) await fixture.publish('ci/app', i)
    using peer = dealer(fixture.session)
    assert.deepEqual((await subscribe(peer, 'ci/**', 'earliest')).body, {
      position: 'e1:0',
      recovered: true,
    })
    for (let i = 2500; i < 3000; i += 1) await fixture.publish('ci/app', i)
    const events = await takeEvents(peer, 3000)
    assert.deepEqual(
      events.map(({ body }) => body.data),
      Array.from({ length: 3000 }, (_, i) => i),
    )
  })

  it('goes on after a position', async () => {
    await using fixture = await startZmq()
    await fixture.publish('ci/app', 1)
    const position = await fixture.publish('ci/app', 2)
    await fixture.publish('ci/app', 3)
    using peer = dealer(fixture.session)
    await subscribe(peer, 'ci/**', position)
    assert.equal((await peer.receive()).body.data, 3)
  })

  it('tells a gap before what follows it', async () => {
    await using fixture = await startZmq()
    await fixture.publish('ci/app', 1)
    using peer = dealer(fixture.session)
    const { body } = await subscribe(peer, 'ci/**', 'zz:7')
    assert.equal(body.recovered, false)
    const [gap, event] = await takeEvents(peer, 2)
    assert.equal(gap?.parts[1], 'broker/missed')
    assert.equal(gap?.body.type, 'EVENTS MISSED')
    assert.equal(event?.body.data, 1)
  })

  it('stops with UNSUBSCRIBE', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer, 'ci/a')
    await subscribe(peer, 'ci/b')
    const stopped = await peer.ask('UNSUBSCRIBE', JENKINS, 'ci/a')
    assert.deepEqual([stopped.verb, stopped.body], ['OK', {}])
    await fixture.publish('ci/a', 1)
    await fixture.publish('ci/b', 2)
    assert.equal((await peer.receive()).body.data, 2)
    assert.equal(fixture.connections.size, 1)
    assert.equal((await peer.ask('UNSUBSCRIBE', JENKINS, 'ci/b')).verb, 'OK')
    assert.equal(fixture.connections.size, 0)
    await fixture.publish('ci/b', 3)
    assert.equal((await peer.ask('PING')).verb, 'PONG')
  })

  it('is refused without the right, and leaves nothing behind', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'other/**', ''), 'FORBIDDEN')
    assertProblem(await peer.ask('SUBSCRIBE', 'wrong', 'ci/**', ''), 'CREDENTIAL_INVALID')
    assertProblem(await peer.ask('SUBSCRIBE', '', 'ci/**', ''), 'UNAUTHENTICATED')
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'ci/**/x', ''), 'FILTER_INVALID')
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'ci/**', 'yesterday'), 'POSITION_INVALID')
    assert.equal(fixture.connections.size, 0)
  })

  it('of a REQ socket is refused', async () => {
    await using fixture = await startZmq()
    using peer = request(fixture.session)
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'ci/**', ''), 'COMMAND_INVALID')
    assertProblem(await peer.ask('UNSUBSCRIBE', JENKINS, 'ci/**'), 'COMMAND_INVALID')
  })

  it('refuses more than 128 filters on a connection', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    for (let i = 0; i < 128; i += 1) await subscribe(peer, `ci/${i}`)
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'ci/128', ''), 'TOO_MANY_REQUESTS')
    await subscribe(peer, 'ci/0')
  })

  it('makes the connection that of its user', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    assertProblem(await peer.ask('SUBSCRIBE', 'other-token', 'other/**', ''), 'FORBIDDEN')
    assertProblem(await peer.ask('UNSUBSCRIBE', 'other-token', 'ci/**'), 'FORBIDDEN')
    assertProblem(await peer.ask('PUBLISH', 'root-token', 'ci/app', '1'), 'FORBIDDEN')
  })

  it('is answered before its events and after what was sent before it', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await peer.send('PUBLISH', JENKINS, 'ci/app', '1')
    await peer.send('SUBSCRIBE', JENKINS, 'ci/**', 'earliest')
    await peer.send('PUBLISH', JENKINS, 'ci/app', '2')
    await peer.send('PING')
    const first = await peer.receive()
    assert.equal(first.body.position, 'e1:1')
    const second = await peer.receive()
    assert.deepEqual(second.body, { position: 'e1:0', recovered: true })
    const rest = [
      await peer.receive(),
      await peer.receive(),
      await peer.receive(),
      await peer.receive(),
    ]
    assert.deepEqual(rest.map(({ verb }) => verb).sort(), ['EVENT', 'EVENT', 'OK', 'PONG'])
    const events = rest.filter(({ verb }) => verb === 'EVENT')
    assert.deepEqual(
      events.map(({ body }) => body.data),
      [1, 2],
    )
  })
})

describe('PING', () => {
  it('is answered with the position of the log, on a subscription with its own', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await fixture.publish('ci/app', 1)
    assert.deepEqual((await peer.ask('PING')).body, { position: 'e1:1', subscribed: false })
    await subscribe(peer)
    await fixture.publish('ci/app', 2)
    assert.equal((await peer.receive()).verb, 'EVENT')
    assert.deepEqual((await peer.ask('PING')).body, { position: 'e1:2', subscribed: true })
  })

  it('tells a quiet subscriber how far it has come', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    const position = await fixture.publish('other/x', 1)
    for (;;) {
      // The connections tell once a second.
      const { body } = await peer.ask('PING')
      if (body.position === position) break
    }
  })
})

describe('a subscription', () => {
  it('ends at once when its user is removed', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    await fixture.publish('ci/app', 1)
    await peer.receive()
    fixture.identities.remove(JENKINS)
    fixture.judge()
    await fixture.publish('ci/app', 2)
    const last = await peer.receive()
    assertProblem(last, 'CREDENTIAL_INVALID')
    assert.equal(last.body.ends, 'subscriptions')
    assert.equal(last.body.retryAfterSeconds, undefined)
    await fixture.publish('ci/app', 3)
    assert.equal((await peer.ask('PING')).verb, 'PONG')
    assert.equal(fixture.connections.size, 0)
    assert.equal(fixture.service.counters.endedSubscriptions, 1)
  })

  it('ends when nothing of a filter is allowed any more', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    fixture.identities.add('jenkins', JENKINS, { subscribe: ['else/**'] })
    fixture.judge()
    assertProblem(await peer.receive(), 'FORBIDDEN')
  })

  it('goes on with less when only a part of it is forbidden', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    fixture.identities.add('jenkins', JENKINS, { subscribe: ['ci/b'] })
    fixture.judge()
    await fixture.publish('ci/a', 1)
    await fixture.publish('ci/b', 2)
    assert.equal((await peer.receive()).body.data, 2)
  })

  it('ends when its token expires', async () => {
    await using fixture = await startZmq()
    fixture.identities.add('jenkins', 'short', ALL, Date.now() + 10)
    using peer = dealer(fixture.session)
    await peer.ask('SUBSCRIBE', 'short', 'ci/**', '')
    assertProblem(await peer.receive(), 'CREDENTIAL_INVALID')
  })

  it('lives by the newest token of its user', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    fixture.identities.add('jenkins', 'newer', ALL)
    assert.equal((await peer.ask('SUBSCRIBE', 'newer', 'ci/**', '')).verb, 'OK')
    fixture.identities.remove(JENKINS)
    fixture.judge()
    await fixture.publish('ci/app', 1)
    assert.equal((await peer.receive()).body.data, 1)
  })

  it('is told that it ends when the broker drains', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    await subscribe(peer)
    await fixture.connections.drain(0)
    const last = await peer.receive()
    assertProblem(last, 'UNAVAILABLE')
    assert.ok(last.body.retryAfterSeconds >= 1)
  })

  it('is told by PONG, as long as there is one', async () => {
    await using fixture = await startZmq()
    using peer = dealer(fixture.session)
    const isSubscribed = async () => {
      const { verb, body } = await peer.ask('PING')
      assert.equal(verb, 'PONG')
      return body.subscribed
    }
    assert.equal(await isSubscribed(), false)
    assertProblem(await peer.ask('SUBSCRIBE', JENKINS, 'other/**', ''), 'FORBIDDEN')
    assert.equal(await isSubscribed(), false)
    await subscribe(peer)
    assert.equal(await isSubscribed(), true)
    assert.equal((await peer.ask('UNSUBSCRIBE', JENKINS, 'ci/**')).verb, 'OK')
    assert.equal(await isSubscribed(), false)
    await subscribe(peer)
    await fixture.connections.drain(0)
    assertProblem(await peer.receive(), 'UNAVAILABLE')
    assert.equal(await isSubscribed(), false)
  })

  it('ends with its connection: a peer that takes the routing id inherits nothing', async () => {
    await using fixture = await startZmq()
    const first = dealer(fixture.session, { routingId: 'same' })
    await subscribe(first)
    assert.equal(fixture.connections.size, 1)
    first[Symbol.dispose]()
    let second: Peer | undefined
    try {
      // While the first is still known, libzmq leaves a second of its id unheard.
      for (;;) {
        second = dealer(fixture.session, { routingId: 'same' })
        second.socket.receiveTimeout = 50
        await second.send('PING')
        const answer = await second.receive().catch(() => undefined)
        if (answer !== undefined) {
          assert.equal(answer.verb, 'PONG')
          break
        }
        second[Symbol.dispose]()
      }
      assert.equal(fixture.connections.size, 0)
      await fixture.publish('ci/app', 1)
      second.socket.receiveTimeout = -1
      await second.send('PING')
      const { verb, body } = await second.receive()
      assert.equal(verb, 'PONG')
      assert.equal(body.subscribed, false)
    } finally {
      second?.[Symbol.dispose]()
    }
  })

  it('ends with a connection whose last messages nobody has read yet', async () => {
    await using fixture = await startZmq()
    const peer = dealer(fixture.session)
    await subscribe(peer)
    // The disconnect must be told behind a full queue.
    for (let i = 0; i < 5000; i += 1) await peer.send('PUBLISH', JENKINS, 'ci/app', `${i}`)
    peer.socket.linger = 1000
    peer[Symbol.dispose]()
    while (fixture.connections.size > 0) await new Promise((resolve) => setImmediate(resolve))
  })
})

describe('a slow DEALER', () => {
  it('delays nobody else and gets everything when it reads again', async () => {
    await using fixture = await startZmq()
    using slow = dealer(fixture.session)
    slow.socket.receiveHighWaterMark = 1
    using fast = dealer(fixture.session)
    await subscribe(slow)
    await subscribe(fast)
    const count = 600
    const filler = 'x'.repeat(100_000)
    const positions: string[] = []
    for (let i = 0; i < count; i += 1) {
      positions.push(await fixture.publish('ci/app', { i, filler }))
      const event = await fast.receive()
      assert.equal(event.body.position, positions[i])
    }
    const late = await takeEvents(slow, count)
    assert.deepEqual(
      late.map(({ body }) => body.position),
      positions,
    )
  })
})

describe('a hostile peer', () => {
  const HOSTILE: readonly (readonly (string | Buffer)[])[] = [
    Array.from({ length: 50 }, () => ''),
    [''],
    ['', ''],
    [Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
    [Buffer.alloc(1_000_000, 0xff)],
    ['PUBLISH'],
    ['SUBSCRIBE'],
    ['UNSUBSCRIBE'],
    ['PUBLISH', JENKINS],
    ['PUBLISH', JENKINS, 'ci/app'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{}', 'more'],
    ['PUBLISH', JENKINS, Buffer.from([0xc3, 0x28]), '1'],
    ['PUBLISH', Buffer.alloc(600, 'x'), 'ci/app', '1'],
    ['PUBLISH', JENKINS, 'ci/*', '1'],
    ['PUBLISH', JENKINS, 'ci/app', '1', 'no json'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '[]'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{"type":1}'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{"data":"x"}'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{"data_base64":"eA=="}'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{"__proto__":"x"}'],
    ['PUBLISH', JENKINS, 'ci/app', '1', '{"source":"/broker"}'],
    ['PUBLISH', JENKINS, 'ci/app', '1', `${'['.repeat(100_000)}`],
    ['PING', 'more'],
    ['ping'],
    ['__proto__'],
    ['constructor', JENKINS, 'ci/app', '1'],
  ]

  it('gets an error or no answer, and the others go on', async () => {
    await using fixture = await startZmq()
    using hostile = dealer(fixture.session)
    for (const frames of HOSTILE) {
      await hostile.send(...frames)
      await hostile.send('PING')
      const answers: string[] = []
      while (answers.at(-1) !== 'PONG') {
        const parts = (await hostile.socket.receive()).map(String)
        answers.push(parts.find((part) => part !== '') ?? '')
      }
      assert.ok(answers.length <= 2, answers.join(' '))
      assert.ok(
        answers.slice(0, -1).every((verb) => verb === 'ERROR'),
        `${String(frames[0]).slice(0, 20)}: ${answers.join(' ')}`,
      )
    }
    using other = dealer(fixture.session)
    assert.equal((await other.ask('PUBLISH', JENKINS, 'ci/app', '1')).verb, 'OK')
    assert.deepEqual(
      fixture.logger.lines.filter(({ level }) => level === 'error'),
      [],
    )
    assert.equal((await stored(fixture)).length, 1)
  })

  it('that sends without reading is refused in order and told so, and others go on', async () => {
    await using fixture = await startZmq()
    using hostile = dealer(fixture.session)
    hostile.socket.receiveHighWaterMark = 1
    const count = 30_000
    const sent = (async () => {
      for (let i = 0; i < count; i += 1) await hostile.send('PUBLISH', JENKINS, 'bad/*', '')
    })()
    using other = dealer(fixture.session)
    while (fixture.service.counters.refusedCommands === 0) {
      assert.equal((await other.ask('PING')).verb, 'PONG')
    }
    const codes = new Map<string, number>()
    for (let i = 0; i < count; i += 1) {
      const { body } = await hostile.receive()
      codes.set(body.code, (codes.get(body.code) ?? 0) + 1)
    }
    await sent
    assert.equal((await hostile.ask('PING')).verb, 'PONG')
    assert.deepEqual([...codes.keys()].sort(), ['TOO_MANY_REQUESTS', 'TOPIC_INVALID'])
    assert.equal(codes.get('TOO_MANY_REQUESTS'), fixture.service.counters.refusedCommands)
  })
})
