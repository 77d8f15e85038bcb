import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WebSocket as WsWebSocket } from 'ws'
import {
  BrokerClient,
  type BrokerClientOptions,
  type BrokerEvent,
  type EventSubscription,
} from '../../src/client/index.ts'
import { FakeBroker, type FakePeer, fakeEvent, problem } from './fake-broker.ts'

function clientOf(broker: FakeBroker, options: Partial<BrokerClientOptions> = {}): BrokerClient {
  return new BrokerClient({ url: broker.url, token: 'dbk_x', backoff: () => 0, ...options })
}

async function positions(
  subscription: EventSubscription<BrokerEvent>,
  count: number,
): Promise<string[]> {
  const found: string[] = []
  while (found.length < count) {
    const { value, done } = await subscription.next()
    if (done) break
    found.push(value.position)
  }
  return found
}

/** Plays a broker with a log: replays what is after `since`, as many events as one connection is to get. */
function playLog(broker: FakeBroker, length: number, perConnection: number): void {
  broker.onPeer = async (peer) => {
    const { since } = await peer.accept(`e:${length}`)
    const after = since === 'earliest' ? 0 : Number(String(since).split(':')[1])
    const last = Math.min(length, after + perConnection)
    for (let offset = after + 1; offset <= last; offset += 1) peer.send(fakeEvent(offset))
    if (last < length) peer.drop()
    else peer.send({ op: 'position', position: `e:${length}` })
  }
}

test('a subscription authenticates in the first message, subscribes, and gives the events', async () => {
  await using broker = await FakeBroker.start()
  const heard: object[] = []
  broker.onPeer = async (peer) => {
    peer.send({ op: 'welcome', protocol: 'broker.v1.json', user: null, pingIntervalMs: 25_000 })
    const auth = await peer.next()
    peer.send({ op: 'ok', id: auth['id'], user: 'jenkins' })
    const subscribe = await peer.next()
    peer.send({ op: 'ok', id: subscribe['id'], position: 'e:6', recovered: true })
    peer.send(fakeEvent(7))
    heard.push(auth, subscribe)
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe(['ci/**', 'files/*'], { since: 'e:6' })
  const { value } = await subscription.next()
  assert.deepEqual(value, fakeEvent(7))
  assert.equal(subscription.position, 'e:7')
  assert.equal(broker.peers[0]?.protocol, 'broker.v1.json')
  assert.deepEqual(heard, [
    { op: 'auth', id: 1, token: 'dbk_x' },
    { op: 'subscribe', id: 2, filters: ['ci/**', 'files/*'], since: 'e:6' },
  ])
})

test('without a token it subscribes at once', async () => {
  await using broker = await FakeBroker.start()
  const commands: unknown[] = []
  broker.onPeer = async (peer) => void commands.push((await peer.accept())['op'])
  await using client = clientOf(broker, { token: undefined })
  await using subscription = client.events.subscribe('ci/**')
  await subscription.open()
  assert.deepEqual(commands, ['subscribe'])
})

test('a WebSocket of the package ws serves as well', async () => {
  await using broker = await FakeBroker.start()
  playLog(broker, 3, 3)
  await using client = clientOf(broker, { WebSocket: WsWebSocket })
  await using subscription = client.events.subscribe('ci/**', { since: 'earliest' })
  assert.deepEqual(await positions(subscription, 3), ['e:1', 'e:2', 'e:3'])
})

test('dropped sockets are resumed after the last event, none lost and none twice', async () => {
  await using broker = await FakeBroker.start()
  playLog(broker, 100, 7)
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**', { since: 'earliest' })
  const expected = Array.from({ length: 100 }, (_, i) => `e:${i + 1}`)
  assert.deepEqual(await positions(subscription, 100), expected)
  assert.ok(broker.peers.length >= 15)
})

test('a subscription from latest resumes at the head it was told, though no event had come', async () => {
  await using broker = await FakeBroker.start()
  const since: unknown[] = []
  broker.onPeer = async (peer, count) => {
    since.push((await peer.accept('e:41'))['since'])
    if (count === 1) peer.drop()
    else peer.send(fakeEvent(42))
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**')
  assert.deepEqual(await positions(subscription, 1), ['e:42'])
  assert.deepEqual(since, ['latest', 'e:41'])
})

test('a drop before the replay resumes from where it was asked for, not from the head', async () => {
  await using broker = await FakeBroker.start()
  const since: unknown[] = []
  broker.onPeer = async (peer, count) => {
    since.push((await peer.accept('e:41'))['since'])
    if (count === 1) peer.drop()
    else peer.send(fakeEvent(6))
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**', { since: 'e:5' })
  assert.deepEqual(await positions(subscription, 1), ['e:6'])
  assert.deepEqual(since, ['e:5', 'e:5'])
})

test('a position message moves on where it resumes, and tells the consumer once all is taken', async () => {
  await using broker = await FakeBroker.start()
  const since: unknown[] = []
  broker.onPeer = async (peer, count) => {
    since.push((await peer.accept('e:9'))['since'])
    if (count === 1) {
      peer.send(fakeEvent(5))
      peer.send(fakeEvent(6))
      peer.send({ op: 'position', position: 'e:30' })
      peer.drop()
    } else {
      peer.send(fakeEvent(31))
    }
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**', { since: 'e:4' })
  await subscription.open()
  await broker.peers[0]?.closed
  assert.deepEqual(await positions(subscription, 1), ['e:5'])
  assert.equal(subscription.position, 'e:5')
  assert.deepEqual(await positions(subscription, 1), ['e:6'])
  assert.equal(subscription.position, 'e:30')
  assert.deepEqual(await positions(subscription, 1), ['e:31'])
  assert.deepEqual(since, ['e:4', 'e:30'])
})

test('a gap comes as the event it is', async () => {
  await using broker = await FakeBroker.start()
  const missed = { type: 'EVENTS MISSED', topic: 'broker/missed', data: { reason: 'trimmed' } }
  broker.onPeer = async (peer) => {
    await peer.accept()
    peer.send(fakeEvent(500, missed))
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**', { since: 'e:1' })
  const { value } = await subscription.next()
  assert.deepEqual(value, fakeEvent(500, missed))
})

for (const [closeCode, code] of [
  [4400, 'COMMAND_INVALID'],
  [4401, 'CREDENTIAL_INVALID'],
  [4403, 'FORBIDDEN'],
  [4408, 'REQUEST_TIMEOUT'],
  [1009, 'TOO_LARGE'],
] as const) {
  test(`a close with ${closeCode} ends the subscription with ${code}`, async () => {
    await using broker = await FakeBroker.start()
    broker.onPeer = async (peer) => {
      await peer.accept()
      peer.send(fakeEvent(1))
      peer.close(closeCode, 'so it is')
    }
    await using client = clientOf(broker)
    await using subscription = client.events.subscribe('ci/**')
    assert.deepEqual(await positions(subscription, 1), ['e:1'])
    await assert.rejects(subscription.next(), { name: 'BrokerError', code, message: 'so it is' })
    assert.deepEqual(await subscription.next(), { done: true, value: undefined })
    assert.equal(broker.peers.length, 1)
  })
}

for (const closeCode of [1001, 1012, 4429, 4508, 1011]) {
  test(`a close with ${closeCode} is resumed`, async () => {
    await using broker = await FakeBroker.start()
    broker.onPeer = async (peer, count) => {
      await peer.accept()
      peer.send(fakeEvent(count))
      peer.close(closeCode)
    }
    await using client = clientOf(broker)
    await using subscription = client.events.subscribe('ci/**')
    assert.deepEqual(await positions(subscription, 3), ['e:1', 'e:2', 'e:3'])
  })
}

test('a refused token ends the subscription with the problem', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => {
    peer.send({ op: 'welcome' })
    const { id } = await peer.next()
    peer.send({ op: 'error', id, problem: problem('CREDENTIAL_INVALID') })
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**')
  await assert.rejects(subscription.open(), { code: 'CREDENTIAL_INVALID' })
  await assert.rejects(subscription.next(), { code: 'CREDENTIAL_INVALID' })
})

test('a refusal that passes is tried again', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer, count) => {
    if (count > 1) return void (await peer.accept().then(() => peer.send(fakeEvent(1))))
    peer.send({ op: 'welcome' })
    const { id } = await peer.next()
    peer.send({ op: 'error', id, problem: problem('UNAVAILABLE') })
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**')
  assert.deepEqual(await positions(subscription, 1), ['e:1'])
})

test('the wait that a closing broker names is kept', async (t) => {
  await using broker = await FakeBroker.start()
  const waits: number[] = []
  const { setTimeout: realSetTimeout } = globalThis
  t.mock.method(globalThis, 'setTimeout', (run: () => void, ms = 0) => {
    if (ms === 77_777) waits.push(ms)
    return realSetTimeout(run, ms === 77_777 ? 0 : ms)
  })
  broker.onPeer = async (peer, count) => {
    await peer.accept()
    peer.send(fakeEvent(count))
    peer.send({ op: 'closing', reason: 'restart', retryAfterMs: 77_777 })
    peer.close(1012)
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**')
  assert.deepEqual(await positions(subscription, 2), ['e:1', 'e:2'])
  assert.ok(waits.length >= 1)
})

for (const [name, WebSocket] of [
  ['of Node', globalThis.WebSocket],
  ['of the package ws', WsWebSocket],
] as const) {
  test(`with the WebSocket ${name} a slow consumer loses nothing, and the buffer keeps its bound`, async () => {
    await using broker = await FakeBroker.start()
    playLog(broker, 1000, 1000)
    const failures: number[] = []
    const backoff = (attempt: number) => failures.push(attempt) * 0
    await using client = clientOf(broker, { backoff, WebSocket })
    await using subscription = client.events.subscribe('ci/**', {
      since: 'earliest',
      bufferedEvents: 10,
    })
    await subscription.open()
    await broker.peers[0]?.closed
    const expected = Array.from({ length: 1000 }, (_, i) => `e:${i + 1}`)
    assert.deepEqual(await positions(subscription, 1000), expected)
    assert.equal(broker.peers[1]?.since, 'e:10')
    assert.ok(broker.peers.length > 50, `${broker.peers.length} connections`)
    assert.deepEqual(failures, [], 'room is waited for, not time')
  })
}

test('a connection that fell silent is asked, then replaced', async () => {
  await using broker = await FakeBroker.start()
  const asked: unknown[] = []
  broker.onPeer = async (peer, count) => {
    if (count > 1) return void (await peer.accept('e:1').then(() => peer.send(fakeEvent(2))))
    await peer.accept('e:1', 20)
    asked.push((await peer.next())['op'])
  }
  await using client = clientOf(broker)
  await using subscription = client.events.subscribe('ci/**')
  assert.deepEqual(await positions(subscription, 1), ['e:2'])
  assert.deepEqual(asked, ['ping'])
})

test('a token that runs out is renewed on the same connection', async () => {
  await using broker = await FakeBroker.start()
  let renewal: object | undefined
  broker.onPeer = async (peer) => {
    await peer.accept()
    peer.send({ op: 'expiring', inMs: 60_000 })
    const auth = await peer.next()
    renewal = auth
    peer.send({ op: 'ok', id: auth['id'], user: 'jenkins' })
    peer.send(fakeEvent(1))
  }
  let count = 0
  const token = () => {
    count += 1
    return `dbk_${count}`
  }
  await using client = clientOf(broker, { token })
  await using subscription = client.events.subscribe('ci/**')
  assert.deepEqual(await positions(subscription, 1), ['e:1'])
  assert.deepEqual(renewal, { op: 'auth', id: 3, token: 'dbk_2' })
  assert.equal(broker.peers.length, 1)
})

test('a broker that was never reached ends it with a NetworkError after the retries', async () => {
  const broker = await FakeBroker.start()
  const client = clientOf(broker, { retries: 2 })
  await broker[Symbol.asyncDispose]()
  await using subscription = client.events.subscribe('ci/**')
  await assert.rejects(subscription.next(), { name: 'NetworkError' })
})

test('a token function that fails ends it with that error', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => peer.send({ op: 'welcome' })
  const failure = new Error('no token today')
  await using client = clientOf(broker, { token: () => Promise.reject(failure) })
  await using subscription = client.events.subscribe('ci/**')
  await assert.rejects(subscription.next(), failure)
})

test('leaving the loop closes the connection', async () => {
  await using broker = await FakeBroker.start()
  playLog(broker, 5, 5)
  await using client = clientOf(broker)
  for await (const event of client.events.subscribe('ci/**', { since: 'earliest' })) {
    if (event.position === 'e:2') break
  }
  assert.equal(typeof (await broker.peers[0]?.closed), 'number')
})

test('an aborted signal ends the iteration with its reason, whatever is held', async () => {
  await using broker = await FakeBroker.start()
  playLog(broker, 5, 5)
  await using client = clientOf(broker)
  const controller = new AbortController()
  const { signal } = controller
  const subscription = client.events.subscribe('ci/**', { since: 'earliest', signal })
  assert.deepEqual(await positions(subscription, 1), ['e:1'])
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(subscription.next(), reason)
  assert.deepEqual(await subscription.next(), { done: true, value: undefined })
})

test('an abort while the buffer is full ends it too', async () => {
  await using broker = await FakeBroker.start()
  playLog(broker, 50, 50)
  await using client = clientOf(broker)
  const controller = new AbortController()
  const { signal } = controller
  const options = { since: 'earliest', signal, bufferedEvents: 4 }
  const subscription = client.events.subscribe('ci/**', options)
  await subscription.open()
  await broker.peers[0]?.closed
  controller.abort()
  await assert.rejects(subscription.next(), { name: 'AbortError' })
})

test('close may be called twice, before the start and while somebody waits', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer: FakePeer) => void (await peer.accept())
  await using client = clientOf(broker)
  const unused = client.events.subscribe('ci/**')
  await Promise.all([unused.close(), unused.close()])
  assert.deepEqual(await unused.next(), { done: true, value: undefined })
  const subscription = client.events.subscribe('ci/**')
  await subscription.open()
  const waiting = [subscription.next(), subscription.next()]
  await Promise.all([subscription.close(), subscription.close()])
  const end = { done: true, value: undefined }
  assert.deepEqual(await Promise.all(waiting), [end, end])
})

test('closing the client ends its subscriptions', async () => {
  await using broker = await FakeBroker.start()
  broker.onPeer = async (peer) => void (await peer.accept())
  const client = clientOf(broker)
  const subscription = client.events.subscribe('ci/**')
  await subscription.open()
  const waiting = subscription.next()
  await client.close()
  await assert.rejects(waiting, { name: 'AbortError' })
})

test('a malformed filter is refused before anything is sent', () => {
  const client = new BrokerClient({ url: 'http://127.0.0.1:1' })
  assert.throws(() => client.events.subscribe('a/../b'), { code: 'FILTER_INVALID' })
})

test('subscribeText gives the text as it was sent', async () => {
  await using broker = await FakeBroker.start()
  const text =
    '{"specversion":"1.0","data":{"b":12345678901234567890,"1":1,"a":1.0},"position":"e:1"}'
  broker.onPeer = async (peer) => void (await peer.accept().then(() => peer.send(text)))
  await using client = clientOf(broker)
  await using subscription = client.events.subscribeText('ci/**')
  assert.deepEqual(await subscription.next(), { done: false, value: text })
})
