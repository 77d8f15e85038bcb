import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BrokerClient, type BrokerClientOptions, type BrokerEvent } from '../../src/client/index.ts'
import { collect } from './collect.ts'
import { FakeBroker, fakeEvent, problem } from './fake-broker.ts'

function clientOf(broker: FakeBroker, options: Partial<BrokerClientOptions> = {}): BrokerClient {
  return new BrokerClient({ url: broker.url, token: 'dbk_x', backoff: () => 0, ...options })
}

const ack = { id: 'a', position: 'e:1', duplicate: false }

test('publish sends a CloudEvent with the token and gives the acknowledgement', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 201, json: ack })
  await using client = clientOf(broker)
  const attributes = { type: 'build.finished', id: 'a', source: '/ci' }
  assert.deepEqual(await client.events.publish('ci/a b', { n: 1 }, attributes), ack)
  const [request] = broker.requests
  assert.equal(request?.method, 'POST')
  assert.equal(request?.url, '/events/ci/a%20b')
  assert.equal(request?.headers['authorization'], 'Bearer dbk_x')
  assert.equal(request?.headers['content-type'], 'application/cloudevents+json')
  assert.deepEqual(JSON.parse(String(request?.body)), {
    id: 'a',
    specversion: '1.0',
    type: 'build.finished',
    source: '/ci',
    topic: 'ci/a b',
    datacontenttype: 'application/json',
    data: { n: 1 },
  })
})

test('a publish whose answer is lost is repeated under the same id', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith('drop', { status: 502, body: 'bad gateway' }, { json: ack })
  await using client = clientOf(broker)
  await client.events.publish('ci', 1)
  assert.equal(broker.requests.length, 3)
  const ids = broker.requests.map(({ body }) => JSON.parse(String(body)).id)
  assert.equal(new Set(ids).size, 1)
})

test('a refusal that stays is not repeated', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 403, json: problem('TOPIC_RESERVED') })
  await using client = clientOf(broker)
  await assert.rejects(client.events.publish('files/a'), { code: 'TOPIC_RESERVED' })
  assert.equal(broker.requests.length, 1)
})

test('Retry-After is waited for, and one that is too long is left to the caller', async (t) => {
  await using broker = await FakeBroker.start()
  const refusal = { status: 429, json: problem('TOO_MANY_REQUESTS') }
  const { setTimeout: realSetTimeout } = globalThis
  const waits: number[] = []
  t.mock.method(globalThis, 'setTimeout', (run: () => void, ms = 0) => {
    if (ms === 9000) waits.push(ms)
    return realSetTimeout(run, ms === 9000 ? 0 : ms)
  })
  await using client = clientOf(broker)
  broker.answerWith({ ...refusal, headers: { 'retry-after': '9' } }, { json: ack })
  await client.events.publish('ci', 1)
  assert.deepEqual(waits, [9000])
  broker.answerWith({ ...refusal, headers: { 'retry-after': '3600' } })
  await assert.rejects(client.events.publish('ci', 1), { fields: { retryAfterMs: 3_600_000 } })
  assert.equal(broker.requests.length, 3)
})

test('what is not reached is a NetworkError that names the broker, after the retries', async () => {
  const broker = await FakeBroker.start()
  const client = clientOf(broker, { retries: 1 })
  await broker[Symbol.asyncDispose]()
  await assert.rejects(client.events.publish('ci', 1), (error: Error) => {
    assert.equal(error.name, 'NetworkError')
    assert.match(error.message, /cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/)
    return true
  })
})

test('an answer of something else than a broker is a NetworkError', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ body: '<html>log in</html>' })
  await using client = clientOf(broker)
  await assert.rejects(client.events.publish('ci', 1), { name: 'NetworkError' })
  assert.equal(broker.requests.length, 1)
})

test('an answer that breaks off is repeated', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ json: ack, breakAfter: 5 }, { json: ack })
  await using client = clientOf(broker)
  assert.deepEqual(await client.events.publish('ci', 1), ack)
})

test('an abort ends a call with its reason', async () => {
  await using broker = await FakeBroker.start()
  const controller = new AbortController()
  const reason = new Error('enough')
  broker.answer = async () => {
    controller.abort(reason)
    return new Promise(() => {})
  }
  await using client = clientOf(broker)
  const { signal } = controller
  await assert.rejects(client.events.publish('ci', 1, { signal }), reason)
})

test('publishMany sends a batch on many topics, publishLines lines as they are', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 201, json: [ack, ack] })
  await using client = clientOf(broker)
  await client.events.publishMany([{ topic: 'a', data: 1 }, { topic: 'b' }])
  await client.events.publishLines('c', ['{"b":1.0}', '2'], { type: 't' })
  const [batch, lines] = broker.requests
  assert.equal(batch?.url, '/events')
  assert.equal(batch?.headers['content-type'], 'application/cloudevents-batch+json')
  const topics = JSON.parse(String(batch?.body)).map(({ topic }: BrokerEvent) => topic)
  assert.deepEqual(topics, ['a', 'b'])
  assert.equal(lines?.url, '/events/c')
  assert.equal(lines?.headers['content-type'], 'application/x-ndjson')
  assert.equal(lines?.headers['x-event-type'], 't')
  assert.match(String(lines?.headers['idempotency-key']), /^[0-9a-f]{32}$/)
  assert.equal(String(lines?.body), '{"b":1.0}\n2')
})

test('history is read page by page up to the present', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith(
    { json: { position: 'e:2', complete: true, more: true, events: [fakeEvent(1), fakeEvent(2)] } },
    { json: { position: 'e:9', complete: true, more: false, events: [fakeEvent(3)] } },
  )
  await using client = clientOf(broker)
  const events = await collect(client.events.history('ci/**', { since: 'e:0' }))
  assert.deepEqual(events, [fakeEvent(1), fakeEvent(2), fakeEvent(3)])
  assert.deepEqual(
    broker.requests.map(({ url }) => url),
    ['/events/ci/**?since=e%3A0&limit=1000', '/events/ci/**?since=e%3A2&limit=1000'],
  )
})

test('history stops at its limit', async () => {
  await using broker = await FakeBroker.start()
  const page = { position: 'e:2', complete: true, more: true }
  broker.answerWith({ json: { ...page, events: [fakeEvent(1), fakeEvent(2)] } })
  await using client = clientOf(broker)
  assert.equal((await collect(client.events.history('**', { limit: 2 }))).length, 2)
  assert.deepEqual(
    broker.requests.map(({ url }) => url),
    ['/events/**?limit=2'],
  )
})

test('a long poll says how long to wait', async () => {
  await using broker = await FakeBroker.start()
  const page = { position: 'e:2', complete: true, more: false, events: [] }
  broker.answerWith({ json: page })
  await using client = clientOf(broker)
  assert.deepEqual(await client.events.historyPage('a', { waitSeconds: 60 }), page)
  assert.equal(broker.requests[0]?.url, '/events/a?wait=60')
})
