import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, test } from 'node:test'
import { EventSource } from 'eventsource'
import { startGateway, TOKENS } from '../support/gateway.ts'

const broker = await startGateway()
after(() => broker[Symbol.asyncDispose]())

interface Event {
  readonly data: unknown
  readonly type: string
  readonly position: string
}

interface Page {
  readonly position: string
  readonly complete: boolean
  readonly more: boolean
  readonly events: readonly Event[]
}

function post(topic: string, body: string | Buffer, headers: Record<string, string> = {}) {
  const json = { 'content-type': 'application/json', ...headers }
  return broker.request(`/events/${topic}`, { method: 'POST', body, headers: json, as: 'admin' })
}

async function page(path: string): Promise<Page> {
  const response = await broker.request(`/events/${path}`, { as: 'admin' })
  assert.equal(response.status, 200)
  return (await response.json()) as Page
}

async function code(response: Response | Promise<Response>): Promise<[number, string]> {
  const answer = await response
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const problem = (await answer.json()) as { code: string; status: number }
  assert.equal(problem.status, answer.status)
  return [answer.status, problem.code]
}

/** Reads lines of a streamed body until `count` of them are there. */
async function lines(response: Response, count: number): Promise<string[]> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.split('\n').length > count) break
  }
  return text.split('\n').slice(0, count)
}

test('one event is answered 201, its repeat 200 with the position of the first', async () => {
  const event = '{"specversion":"1.0","type":"t","id":"once","source":"/ci","data":1}'
  const headers = { 'content-type': 'application/cloudevents+json' }
  const first = await post('dup/a', event, headers)
  assert.equal(first.status, 201)
  const receipt = (await first.json()) as object
  const again = await post('dup/a', event, headers)
  assert.equal(again.status, 200)
  assert.deepEqual(await again.json(), { ...receipt, duplicate: true })
  assert.deepEqual(await code(post('dup/b', event, headers)), [409, 'EVENT_CONFLICT'])
  assert.equal((await page('dup/**')).events.length, 1)
})

test('many events are answered with an array, all or none', async () => {
  const headers = { 'content-type': 'application/x-ndjson' }
  const sent = await post('many', '1\n2\n3\n', headers)
  assert.equal(sent.status, 201)
  assert.equal(((await sent.json()) as unknown[]).length, 3)
  const refused = await post('many', '4\n{"specversion":"1.0"}\n', headers)
  assert.equal(refused.status, 400)
  assert.equal(((await refused.json()) as { index: number }).index, 1)
  assert.deepEqual(
    (await page('many')).events.map(({ data }) => data),
    [1, 2, 3],
  )
})

test('an Idempotency-Key makes any publish repeatable, also many', async () => {
  const headers = { 'idempotency-key': 'k1', 'content-type': 'application/x-ndjson' }
  const first = (await (await post('key', '1\n2', headers)).json()) as object[]
  const again = (await (await post('key', '1\n2', headers)).json()) as object[]
  assert.deepEqual(
    again,
    first.map((receipt) => ({ ...receipt, duplicate: true })),
  )
})

test('events that carry their own topic are published at /events', async () => {
  const body =
    '[{"specversion":"1.0","type":"t","topic":"own/a"},{"specversion":"1.0","type":"t","topic":"own/b"}]'
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  const sent = await broker.request('/events', { method: 'POST', body, headers, as: 'admin' })
  assert.equal(sent.status, 201)
  assert.equal((await page('own/*')).events.length, 2)
  const none = broker.request('/events', { method: 'POST', body: '1', as: 'admin' })
  assert.deepEqual(await code(none), [400, 'EVENT_INVALID'])
})

test('a page says whether there is more and from where to go on', async () => {
  await post('paged', '1\n2\n3\n4\n5', { 'content-type': 'application/x-ndjson' })
  const first = await page('paged?limit=2')
  assert.deepEqual([first.events.length, first.more, first.complete], [2, true, true])
  const rest = await page(`paged?limit=100&since=${first.position}`)
  assert.deepEqual(
    rest.events.map(({ data }) => data),
    [3, 4, 5],
  )
  assert.equal(rest.more, false)
  const exact = await page(`paged?limit=3&since=${first.position}`)
  assert.deepEqual([exact.events.length, exact.more], [3, false])
  const gap = await page('paged?since=elsewhere:7')
  assert.equal(gap.complete, false)
  assert.equal(gap.events[0]?.type, 'EVENTS MISSED')
})

test('a long poll answers when something comes', async () => {
  const { position } = await page('poll')
  const waiting = page(`poll?since=${position}&wait=30`)
  await post('elsewhere', '0')
  await post('poll', '1')
  assert.deepEqual(
    (await waiting).events.map(({ data }) => data),
    [1],
  )
})

test('a long poll whose client is gone is no connection any more', async () => {
  await using own = await startGateway()
  const connections = async (): Promise<string | undefined> => {
    const metrics = await (await own.request('/metrics', { as: 'admin' })).text()
    return /^databroker_connections (\d+)$/m.exec(metrics)?.[1]
  }
  const going = new AbortController()
  const { signal } = going
  const waiting = own.request('/events/a?since=latest&wait=60', { as: 'admin', signal })
  while ((await connections()) !== '1');
  going.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  while ((await connections()) !== '0');
})

test('a line stream replays and follows', async () => {
  await post('lines', '1')
  const response = await broker.request('/events/lines?since=earliest', {
    headers: { accept: 'application/x-ndjson' },
    as: 'admin',
  })
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson')
  await post('lines', '{"a":\r\n2}')
  const received = (await lines(response, 2)).map((line) => JSON.parse(line).data)
  assert.deepEqual(received, [1, { a: 2 }])
})

test('a line stream that does not follow ends at the present', async () => {
  await post('ended', '1')
  const response = await broker.request('/events/ended?follow=false', {
    headers: { accept: 'application/x-ndjson' },
    as: 'admin',
  })
  const text = await response.text()
  assert.equal(text.trim().split('\n').length, 1)
})

test('an EventSource resumes where it was, by Last-Event-ID', async () => {
  const seen: { id: string; data: unknown }[] = []
  const open = (since: string, lastEventId?: string) =>
    new EventSource(`${broker.url}/events/sse/**?since=${since}`, {
      fetch: (input, init) =>
        fetch(input, {
          ...init,
          headers: {
            ...(init?.headers as Record<string, string>),
            authorization: `Bearer ${broker.adminToken}`,
            ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
          },
        }),
    })
  const receive = async (source: EventSource, count: number) => {
    const done = Promise.withResolvers<void>()
    source.onmessage = (message) => {
      seen.push({ id: message.lastEventId, data: JSON.parse(message.data).data })
      if (seen.length === count) done.resolve()
    }
    await done.promise
    source.close()
  }
  await post('sse/a', '1')
  await receive(open('earliest'), 1)
  await post('sse/a', '2')
  await receive(open('latest', seen[0]?.id), 2)
  assert.deepEqual(
    seen.map(({ data }) => data),
    [1, 2],
  )
})

test('server-sent events are named by type when asked', async () => {
  await post('named', '1', { 'x-event-type': 'build.done' })
  const ask = (query: string) =>
    broker.request(`/events/named?since=earliest&${query}`, {
      headers: { accept: 'text/event-stream' },
      as: 'admin',
    })
  const thirdLine = async (query: string) => (await lines(await ask(query), 4))[2]
  assert.equal(await thirdLine('named'), 'event: build.done')
  assert.equal(await thirdLine('named=true'), 'event: build.done')
  assert.match((await thirdLine('named=0')) ?? '', /^id: /)
  assert.equal((await ask('named=maybe')).status, 400)
})

const REFUSED: readonly [
  method: string,
  path: string,
  as: string | undefined,
  expected: [number, string],
][] = [
  ['POST', 'ci/jenkins/x', undefined, [401, 'UNAUTHENTICATED']],
  ['POST', 'ci/jenkins/x', 'dashboard', [403, 'FORBIDDEN']],
  ['POST', 'ci/other/x', 'jenkins', [403, 'FORBIDDEN']],
  ['POST', 'files/x', 'admin', [403, 'TOPIC_RESERVED']],
  ['POST', 'broker/x', 'admin', [403, 'TOPIC_RESERVED']],
  ['POST', 'a//b', 'admin', [400, 'TOPIC_INVALID']],
  ['POST', 'a/', 'admin', [400, 'TOPIC_INVALID']],
  ['POST', 'a/*', 'admin', [400, 'TOPIC_INVALID']],
  ['POST', 'a%2Fb', 'admin', [400, 'TARGET_INVALID']],
  ['POST', 'a%zz', 'admin', [400, 'TARGET_INVALID']],
  ['GET', 'ci/**', undefined, [401, 'UNAUTHENTICATED']],
  ['GET', 'secret/**', 'dashboard', [403, 'FORBIDDEN']],
  ['GET', '**/a', 'admin', [400, 'FILTER_INVALID']],
  ['GET', 'a?since=x', 'admin', [400, 'POSITION_INVALID']],
  ['GET', 'a?limit=1001', 'admin', [400, 'REQUEST_INVALID']],
  ['GET', 'a?limit=-1', 'admin', [400, 'REQUEST_INVALID']],
  ['GET', 'a?limit=0', 'admin', [400, 'REQUEST_INVALID']],
  ['GET', 'a?wait=61', 'admin', [400, 'REQUEST_INVALID']],
  ['PUT', 'a', 'admin', [405, 'METHOD_NOT_ALLOWED']],
  ['DELETE', 'a', 'admin', [405, 'METHOD_NOT_ALLOWED']],
]

for (const [method, path, as, expected] of REFUSED) {
  test(`${method} /events/${path} as ${as ?? 'anonymous'} is ${expected.join(' ')}`, async () => {
    const options = { method, ...(method === 'POST' && { body: '1' }) }
    const who = as === undefined ? {} : { as: as as keyof typeof TOKENS }
    assert.deepEqual(
      await code(broker.request(`/events/${path}`, { ...options, ...who })),
      expected,
    )
  })
}

test('a wrong token is 401 with a challenge, two different ones 400', async () => {
  const wrong = await fetch(`${broker.url}/events/a`, {
    headers: { authorization: 'Bearer dbk_x' },
  })
  assert.match(wrong.headers.get('www-authenticate') ?? '', /^Bearer/)
  assert.deepEqual(await code(wrong), [401, 'CREDENTIAL_INVALID'])
  const headers = { authorization: `Bearer ${TOKENS.reader}`, 'x-broker-token': TOKENS.dashboard }
  assert.deepEqual(await code(fetch(`${broker.url}/events/a`, { headers })), [
    400,
    'CREDENTIALS_CONFLICT',
  ])
})

test('a body over the limit is 413, before it is sent when its length is told', async () => {
  assert.deepEqual(await code(post('big', JSON.stringify('x'.repeat(1024 * 1024)))), [
    413,
    'TOO_LARGE',
  ])
  const { hostname, port } = new URL(broker.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    `POST /events/big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${broker.adminToken}\r\nContent-Length: 99999999\r\n\r\n`,
  )
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 413 /)
  socket.destroy()
})

test('a request that is no HTTP is answered with a problem', async () => {
  const { hostname, port } = new URL(broker.url)
  const socket = connect(Number(port), hostname)
  socket.write('HELLO\r\n\r\n')
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*"code":"REQUEST_INVALID"/)
})

test('after a restart a subscriber goes on from its position without a gap', async () => {
  const own = await startGateway()
  const send = (on: typeof own, data: string) =>
    on.request('/events/r', { method: 'POST', body: data, as: 'admin' })
  const { position } = (await (await send(own, '1')).json()) as { position: string }
  await send(own, '2')
  const again = await own.restart()
  await send(again, '3')
  const response = await again.request(`/events/r?since=${position}`, { as: 'admin' })
  const { events, complete } = (await response.json()) as Page
  assert.equal(complete, true)
  assert.deepEqual(
    events.map(({ data }) => data),
    ['2', '3'],
  )
  await again[Symbol.asyncDispose]()
})

test('a broker that drains answers long polls and ends streams instead of waiting for them', async () => {
  await using own = await startGateway()
  const waiting = own.request('/events/a?since=latest&wait=60', { as: 'admin' })
  const stream = await own.request('/events/a', {
    headers: { accept: 'text/event-stream' },
    as: 'admin',
  })
  const ended = stream.text()
  await own.gateway.drain(10)
  assert.equal((await waiting).status, 200)
  await ended
  await assert.rejects(fetch(`${own.url}/livez`))
})
