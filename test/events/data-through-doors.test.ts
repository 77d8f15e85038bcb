import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { type EventLines, openEveryDoor } from '../support/event-lines.ts'
import { startGateway } from '../support/gateway.ts'
import { jsonText } from '../support/json-text.ts'
import { freePort } from '../support/nginx.ts'
import { TestSocket } from '../support/test-socket.ts'

/** The promise that the bytes of data pass unchanged, from every way in to every way out. */
const zmqSession = `tcp://127.0.0.1:${await freePort()}`
const broker = await startGateway({ zmqSession })
const doors: EventLines[] = await openEveryDoor({
  ...{ url: broker.url, token: broker.adminToken, filter: 'bytes/**', zmqSession },
})
const session = await TestSocket.open(`${broker.wsUrl}/ws`, { token: broker.adminToken })
let position = 'earliest'
let count = 0

after(async () => {
  session[Symbol.dispose]()
  for (const door of doors) await door[Symbol.asyncDispose]()
  await broker[Symbol.asyncDispose]()
})

async function post(contentType: string, body: string | Buffer<ArrayBuffer>, headers = {}) {
  const init = { method: 'POST', body, headers: { 'content-type': contentType, ...headers } }
  const response = await broker.request('/events/bytes/x', { ...init, as: 'admin' })
  assert.equal(response.status, 201, await response.clone().text())
  const answer = (await response.json()) as unknown
  return Array.isArray(answer) ? answer.length : 1
}

let commands = 0

async function command(rest: string): Promise<number> {
  commands += 1
  const id = `c${commands}`
  session.send(`{"op":"publish","id":"${id}","topic":"bytes/x",${rest}}`)
  const reply = await session.wait((message) => message['id'] === id)
  assert.equal(reply['op'], 'ok')
  return 1
}

/** Publishes and returns the events as the doors bring them, which must be the same at all of them. */
async function through(publish: () => Promise<number>): Promise<readonly string[]> {
  const published = await publish()
  const from = count
  count += published
  const [first = [], ...others] = await Promise.all(
    doors.map(async (door) => (await door.until(count)).slice(from)),
  )
  for (const [i, lines] of others.entries()) assert.deepEqual(lines, first, doors[i + 1]?.door)
  const page = await broker.request(`/events/bytes/**?since=${position}`, { as: 'admin' })
  const text = await page.text()
  assert.ok(text.endsWith(`"events":[${first.join(',')}]}\n`), text)
  position = JSON.parse(text).position
  for (const line of first) {
    assert.doesNotMatch(line, /[\r\n]/)
    assert.match(line, /,"position":"[0-9a-z]+:\d+"\}$/)
  }
  return first
}

const structured = (data: string) => `{"specversion":"1.0","type":"t","data":${data}}`

test('the text of JSON data passes every way in and every door as it was sent', async () => {
  const text = jsonText({ lineBreaks: true })
  await fc.assert(
    fc.asyncProperty(text, async (json) => {
      const line = json.replaceAll(/[\r\n]/g, ' ')
      const ways = [
        () => post('application/json', json),
        () =>
          post('application/vnd.x+json; charset=utf-8', json, {
            'ce-specversion': '1.0',
            'ce-type': 't',
          }),
        () => post('application/x-ndjson', `[${line}]\n${structured(line)}\n`),
        () => post('application/cloudevents+json', structured(json)),
        () =>
          post('application/cloudevents-batch+json', `[${structured(json)}\n,${structured(json)}]`),
        () => command(`"data":${json}`),
        () => command(`"event":${structured(json)}`),
      ]
      for (const publish of ways) {
        for (const event of await through(publish)) {
          assert.ok(
            event.includes(`"data":${line},"`) || event.includes(`"data":[${line}],"`),
            `${event} holds no ${line}`,
          )
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('text and bytes come out as what they were', async () => {
  const text = fc.string({ unit: 'binary', minLength: 1 }).map((value) => Buffer.from(value))
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((value) => Buffer.from(value))
  const type = fc.constantFrom('text/plain', 'application/octet-stream', 'text/csv;charset=latin1')
  await fc.assert(
    fc.asyncProperty(fc.oneof(text, bytes), type, async (body, contentType) => {
      const [line = ''] = await through(() => post(contentType, Buffer.from(body)))
      const { data, data_base64, datacontenttype } = JSON.parse(line)
      assert.equal(datacontenttype, contentType)
      const back = data === undefined ? Buffer.from(data_base64, 'base64') : Buffer.from(data)
      assert.deepEqual(back, body)
    }),
    { numRuns: 100 },
  )
})
