import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { CloudEvent, type CloudEventV1, HTTP } from 'cloudevents'
import { startGateway } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

/**
 * Against the official package. Known of it and worked around here: it takes `application/cloudevents+json`
 * only without a charset other than its own spelling, does not percent-encode headers, and has no
 * WebSocket transport: there its structured body is the message.
 */
const broker = await startGateway()
after(() => broker[Symbol.asyncDispose]())

type Peer = CloudEvent<unknown>

const SAMPLES: Readonly<Record<string, () => Peer>> = {
  'an object': () => sample({ data: { b: 1, a: [null, 'é😀'] } }),
  'a string': () => sample({ data: 'text "quoted"\n', datacontenttype: 'text/plain' }),
  'a number as JSON': () => sample({ data: 42, datacontenttype: 'application/json' }),
  bytes: () =>
    sample({ data: Uint8Array.of(0, 255, 128), datacontenttype: 'application/octet-stream' }),
  'no data': () => sample({}),
  'every optional attribute': () =>
    sample({
      data: {},
      subject: 'a/b',
      dataschema: 'https://example.org/schema#v1',
      time: '2026-11-20T10:00:00.123Z',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    }),
}

function sample(attributes: Partial<CloudEventV1<unknown>>): Peer {
  return new CloudEvent<unknown>({ type: 'org.example.t', source: '/peer', ...attributes })
}

/** What both ends must agree on. */
function essence(event: Peer): unknown {
  const { id, source, type, specversion, time, subject, dataschema, datacontenttype } = event
  const { data, traceparent } = event
  // Of bytes the package makes an array of 32-bit numbers.
  const isBytes = data instanceof Uint8Array || data instanceof Uint32Array
  const content = isBytes ? [...data] : data
  // Without a type JSON is meant; the binary mode has to say so.
  const isJson = /^application\/json/.test(datacontenttype ?? 'application/json')
  return {
    ...{ id, source, type, specversion, time, subject, dataschema, traceparent },
    data: content,
    datacontenttype: isJson ? 'application/json' : datacontenttype,
  }
}

/** Reads a message of the broker with the package. */
function parsed(message: Buffer): Peer {
  const headers = { 'content-type': 'application/cloudevents+json' }
  const event = HTTP.toEvent<unknown>({ headers, body: message.toString() })
  assert.ok(event instanceof CloudEvent)
  event.validate()
  return event
}

async function post(headers: Record<string, unknown>, body: unknown): Promise<Response> {
  // The package hands over a string or a Buffer.
  const init = { method: 'POST', body: body as string, headers: headers as Record<string, string> }
  return broker.request('/events/peer/x', { ...init, as: 'admin' })
}

/** A subscriber by the WebSocket binding: one structured event per text message. */
async function subscribe() {
  const url = `${broker.wsUrl}/events/peer/**`
  const socket = await TestSocket.open(url, {
    token: broker.adminToken,
    protocols: ['cloudevents.json'],
  })
  assert.equal(socket.socket.protocol, 'cloudevents.json')
  const messages: Buffer[] = []
  socket.socket.on('message', (data: Buffer, isBinary) => {
    assert.equal(isBinary, false)
    messages.push(data)
  })
  let read = 0
  return {
    async next(): Promise<Peer> {
      await socket.waitEvents(read + 1)
      const message = messages[read]
      read += 1
      assert.ok(message)
      return parsed(message)
    },
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  }
}

describe('what the package sends', () => {
  for (const [name, make] of Object.entries(SAMPLES)) {
    const roundTrip = (mode: string, send: (event: Peer) => Promise<unknown>) =>
      test(`with ${name} in ${mode} is what it parses again`, async () => {
        using subscriber = await subscribe()
        const event = make()
        await send(event)
        assert.deepEqual(essence(await subscriber.next()), essence(event))
      })

    roundTrip('structured mode', async (event) => {
      const { headers, body } = HTTP.structured(event)
      assert.equal((await post(headers, body)).status, 201)
    })
    roundTrip('binary mode', async (event) => {
      const { headers, body } = HTTP.binary(event)
      assert.equal((await post(headers, body)).status, 201)
    })
    roundTrip('a batch', async (event) => {
      const headers = { 'content-type': 'application/cloudevents-batch+json; charset=UTF-8' }
      assert.equal((await post(headers, JSON.stringify([event]))).status, 201)
    })
    roundTrip('a message of a session', async (event) => {
      using session = await TestSocket.open(`${broker.wsUrl}/ws`, { token: broker.adminToken })
      const topic = 'peer/x'
      const reply = await session.ask({ op: 'publish', topic, event: event.toJSON() })
      assert.equal(reply['eventId'], event.id)
    })
  }
})

test('what was received can be published again as the package writes it', async () => {
  using subscriber = await subscribe()
  const first = sample({ data: { n: 1 } })
  await post(HTTP.structured(first).headers, HTTP.structured(first).body)
  const received = await subscriber.next()
  const again = received.cloneWith({ id: 'again' })
  assert.equal((await post(HTTP.binary(again).headers, HTTP.binary(again).body)).status, 201)
  const echoed = await subscriber.next()
  assert.deepEqual(essence(echoed), essence(again))
  assert.notEqual(echoed['position'], received['position'])
})

test('an empty batch is taken and answered with no receipts', async () => {
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  const response = await post(headers, '[]')
  assert.deepEqual([response.status, await response.json()], [201, []])
})

test('the structured event counts when ce- headers say something else', async () => {
  using subscriber = await subscribe()
  const event = sample({ data: 1 })
  const { headers, body } = HTTP.structured(event)
  const others = { 'ce-id': 'other', 'ce-type': 'other', 'ce-specversion': '0.3' }
  assert.equal((await post({ ...headers, ...others }, body)).status, 201)
  assert.equal((await subscriber.next()).id, event.id)
})

const EVENT = '{"specversion":"1.0","type":"t"}'
const STRUCTURED = { 'content-type': 'application/cloudevents+json' }
const BATCH = { 'content-type': 'application/cloudevents-batch+json' }

for (const [name, headers, body, status, code] of [
  ['specversion 0.3 in a body', STRUCTURED, EVENT.replace('1.0', '0.3'), 400, 'EVENT_INVALID'],
  [
    'specversion 0.3 in a header',
    { 'ce-specversion': '0.3', 'ce-type': 't' },
    '',
    400,
    'EVENT_INVALID',
  ],
  ['specversion 0.3 in a batch', BATCH, `[${EVENT.replace('1.0', '0.3')}]`, 400, 'EVENT_INVALID'],
  ['a byte order mark', STRUCTURED, `\ufeff${EVENT}`, 400, 'JSON_INVALID'],
  ['a byte order mark before a batch', BATCH, `\ufeff[${EVENT}]`, 400, 'JSON_INVALID'],
  ['bytes that are not UTF-8', STRUCTURED, Buffer.from([0x7b, 0xff, 0x7d]), 400, 'JSON_INVALID'],
  ['a batch in a batch', BATCH, '[[]]', 400, 'EVENT_INVALID'],
  [
    'a ce- header that is no UTF-8',
    { 'ce-specversion': '1.0', 'ce-type': '%C0%A0' },
    '',
    400,
    'EVENT_INVALID',
  ],
  [
    'a format that is not JSON',
    { 'content-type': 'application/cloudevents+avro' },
    'x',
    415,
    'MEDIA_TYPE_UNSUPPORTED',
  ],
  ['a Content-Type that is none', { 'content-type': 'bogus' }, '1', 415, 'MEDIA_TYPE_UNSUPPORTED'],
] as const) {
  test(`${name} is refused with ${status} ${code}`, async () => {
    const response = await post(headers, body)
    const problem = (await response.json()) as { code: string; detail: string }
    assert.deepEqual([response.status, problem.code], [status, code])
    if (status === 415) assert.match(problem.detail, /Content-Type|CloudEvents format/)
  })
}
