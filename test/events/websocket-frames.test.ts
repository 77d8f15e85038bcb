import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { after, describe, test } from 'node:test'
import { pino } from 'pino'
import { startGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { CLOSE, closing, frame, PING, PONG, RawWebSocket, TEXT } from '../support/raw-websocket.ts'

/** RFC 6455 from below, in the manner of the Autobahn suite. */
const logged: { readonly level: number; readonly event?: string; readonly msg: string }[] = []
const log = new Writable({
  write(chunk, _, done) {
    for (const line of String(chunk).trim().split('\n')) logged.push(JSON.parse(line))
    done()
  },
})
const broker = await startGateway({}, USERS_XML, pino({ level: 'info' }, log))
after(() => broker[Symbol.asyncDispose]())
const started = logged.length

const open = (path = '/ws') => RawWebSocket.open(broker.wsUrl + path, broker.adminToken)
const ping = (id: string) => `{"op":"ping","id":"${id}"}`
const answered = (socket: RawWebSocket, id: string) =>
  socket.wait(({ messages }) =>
    messages.find((message) => message.id === id && message.op === 'ok'),
  )

function post(topic: string, body: string, contentType = 'application/json'): Promise<Response> {
  const init = { method: 'POST', body, headers: { 'content-type': contentType } }
  return broker.request(`/events/${topic}`, { ...init, as: 'admin' })
}

describe('a message', () => {
  test('in fragments is one, whatever control frames lie between and wherever it is cut', async () => {
    using socket = await open()
    const bytes = Buffer.from(ping('é€😀'))
    for (let cut = 1; cut < bytes.length; cut += 1) {
      socket.send(
        frame(TEXT, bytes.subarray(0, cut), { isFinal: false }),
        frame(PING, `p${cut}`),
        frame(0, '', { isFinal: false }),
        frame(PONG, 'unasked'),
        frame(0, bytes.subarray(cut)),
      )
    }
    await socket.wait(({ frames }) => frames.length === 2 * bytes.length - 1 || undefined)
    const pongs = socket.frames.filter(({ opcode }) => opcode === PONG)
    assert.deepEqual(
      pongs.map(({ payload }) => payload.toString()),
      Array.from({ length: bytes.length - 1 }, (_, i) => `p${i + 1}`),
    )
    assert.equal(socket.messages.filter(({ id }) => id === 'é€😀').length, bytes.length - 1)
  })

  for (const size of [125, 126, 65_535, 65_536]) {
    test(`of ${size} bytes is taken, and sent`, async () => {
      using socket = await open()
      const command = ping('x')
      const padding = ' '.repeat(size - command.length)
      socket.send(frame(TEXT, padding + command))
      await answered(socket, 'x')
      using sent = size < 200 ? await replyOf(size) : await eventOf(size)
      assert.ok(sent.frames.some(({ payload }) => payload.length === size))
    })
  }

  test('byte by byte, and many in one packet, are the same', async () => {
    using socket = await open()
    for (const byte of frame(TEXT, ping('slow'))) socket.send(Uint8Array.of(byte))
    await answered(socket, 'slow')
    const ids = Array.from({ length: 1000 }, (_, i) => `n${i}`)
    socket.send(...ids.map((id) => frame(TEXT, ping(id))))
    await answered(socket, 'n999')
    const replies = socket.messages.filter(({ id }) => id?.startsWith('n'))
    assert.deepEqual(
      replies.map(({ id }) => id),
      ids,
    )
  })
})

/** A reply of exactly `size` bytes; without a credential it has no position. */
async function replyOf(size: number): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(`${broker.wsUrl}/ws`)
  const id = 'i'.repeat(size - '{"op":"ok","id":""}'.length)
  socket.send(frame(TEXT, ping(id)))
  await answered(socket, id)
  return socket
}

/** An event of exactly `size` bytes, found by how long one before it was. */
async function eventOf(size: number): Promise<RawWebSocket> {
  const socket = await open('/events/sizes')
  let length = size - 300
  for (let count = 1; ; count += 1) {
    await post('sizes', JSON.stringify('x'.repeat(length)))
    const last = await socket.wait(({ frames }) => frames[count - 1])
    if (last.payload.length === size) return socket
    length += size - last.payload.length
  }
}

test('a ping is answered with its payload, of any length it may have', async () => {
  using socket = await open('/events/pings')
  for (const length of [0, 1, 124, 125]) socket.send(frame(PING, Buffer.alloc(length, 0xff)))
  await socket.wait(({ frames }) => frames.length === 4 || undefined)
  assert.deepEqual(
    socket.frames.map(({ opcode, payload }) => [opcode, payload.length]),
    [0, 1, 124, 125].map((length) => [PONG, length]),
  )
  assert.ok(socket.frames.every(({ payload }) => payload.every((byte) => byte === 0xff)))
})

const INVALID = Buffer.from([0x22, 0xc3, 0x28, 0x22])
const LIMIT = 1024 * 1024 + 64 * 1024

describe('what no client may send ends the connection', () => {
  for (const [name, code, frames] of [
    ['a ping of 126 bytes', 1002, [frame(PING, Buffer.alloc(126))]],
    ['a ping in fragments', 1002, [frame(PING, '', { isFinal: false })]],
    ['the first reserved bit', 1002, [frame(TEXT, '{}', { reserved: 4 })]],
    ['the second reserved bit', 1002, [frame(TEXT, '{}', { reserved: 2 })]],
    ['the third reserved bit', 1002, [frame(TEXT, '{}', { reserved: 1 })]],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
      (opcode) => [`opcode ${opcode}`, 1002, [frame(opcode)]] as const,
    ),
    ['a frame that is not masked', 1002, [frame(TEXT, ping('x'), { isMasked: false })]],
    ['a continuation of nothing', 1002, [frame(0, ping('x'))]],
    [
      'a message within a message',
      1002,
      [frame(TEXT, '{', { isFinal: false }), frame(TEXT, ping('x'))],
    ],
    ['text that is not UTF-8', 1007, [frame(TEXT, INVALID)]],
    [
      'text that is not UTF-8, in fragments',
      1007,
      [frame(TEXT, INVALID.subarray(0, 2), { isFinal: false }), frame(0, INVALID.subarray(2))],
    ],
    ['half a character', 1007, [frame(TEXT, Buffer.from('é').subarray(0, 1))]],
    ['half a surrogate pair', 1007, [frame(TEXT, Buffer.from([0xed, 0xa0, 0x80]))]],
    ['a length over the limit', 1009, [frame(TEXT, '', { length: BigInt(LIMIT + 1) })]],
    ['a length beyond all limits', 1009, [frame(TEXT, '', { length: 2n ** 62n })]],
    [
      'fragments over the limit',
      1009,
      [
        frame(TEXT, Buffer.alloc(LIMIT, 0x20), { isFinal: false }),
        frame(0, ' ', { isFinal: false }),
      ],
    ],
    [
      'very many fragments',
      1008,
      Array.from({ length: 20_000 }, (_, i) => frame(i === 0 ? TEXT : 0, '', { isFinal: false })),
    ],
    ['a close code in one byte', 1002, [frame(CLOSE, Buffer.alloc(1))]],
    ['a close reason that is not UTF-8', 1007, [frame(CLOSE, closing(1000, INVALID))]],
    ['a long close reason', 1002, [frame(CLOSE, closing(1000, 'x'.repeat(124)))]],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65_535].map(
      (bad) => [`close code ${bad}`, 1002, [frame(CLOSE, closing(bad))]] as const,
    ),
  ] as const) {
    test(`${name} with ${code}`, async () => {
      for (const path of ['/ws', '/events/frames']) {
        using socket = await open(path)
        socket.send(...frames)
        assert.equal(await socket.closeCode(), code)
        // What is still under way must not turn the close into a reset.
        socket.send(frame(TEXT, ' '.repeat(1000)), frame(CLOSE, closing(code)))
        socket.socket.end()
        await socket.ended()
      }
    })
  }

  test('and is none that a log tells at a level which is on', () => {
    assert.deepEqual(
      logged.slice(started).filter(({ event }) => event !== 'http.request'),
      [],
    )
  })
})

describe('a close', () => {
  for (const code of [1000, 1001, 1003, 1008, 1011, 1012, 1014, 3000, 3999, 4000, 4999]) {
    test(`with ${code} is answered with it and then the stream ends`, async () => {
      using socket = await open()
      socket.send(frame(CLOSE, closing(code, 'because '.repeat(15))))
      assert.equal(await socket.closeCode(), code)
      await socket.ended()
    })
  }

  test('without a code is answered with a close', async () => {
    using socket = await open()
    socket.send(frame(CLOSE))
    assert.ok([undefined, 1000].includes(await socket.closeCode()))
    await socket.ended()
  })

  test('is the last thing heard: what comes after it does nothing', async () => {
    using socket = await open()
    const publish = '{"op":"publish","id":1,"topic":"late/x","data":1}'
    socket.send(frame(CLOSE, closing(1000)), frame(TEXT, publish))
    await socket.ended()
    assert.deepEqual(await history('late/**'), [])
  })

  test('by the broker is the last thing heard too, whoever keeps talking', async () => {
    using socket = await RawWebSocket.open(`${broker.wsUrl}/ws`, TOKENS.jenkins)
    const publish = '{"op":"publish","id":1,"topic":"ci/jenkins/late","data":1}'
    socket.send(frame(TEXT, 'no command'), frame(TEXT, publish))
    assert.equal(await socket.closeCode(), 4400)
    socket.send(frame(TEXT, publish), frame(CLOSE, closing(4400)))
    await socket.ended()
    assert.deepEqual(await history('ci/jenkins/late'), [])
  })

  test('is not needed: an end of the stream frees the connection', async () => {
    while ((await connections()) > 0) await post('half', '0')
    using session = await open()
    using stream = await open('/events/half')
    await session.frame(TEXT)
    assert.equal(await connections(), 2)
    session.socket.end()
    stream.socket.end()
    await Promise.all([session.ended(), stream.ended()])
    while ((await connections()) > 0) await post('half', '1')
  })
})

async function history(filter: string): Promise<unknown[]> {
  const response = await broker.request(`/events/${filter}`, { as: 'admin' })
  return ((await response.json()) as { events: unknown[] }).events
}

async function connections(): Promise<number> {
  const text = await (await broker.request('/metrics', { as: 'admin' })).text()
  return Number(/^databroker_connections (\d+)$/m.exec(text)?.[1])
}

test('events, replies and pongs in one stream under load are all well formed', async () => {
  using socket = await open()
  socket.command({ op: 'subscribe', id: 'sub', filters: ['load/**'] })
  await answered(socket, 'sub')
  const [batches, size, commands] = [30, 200, 30]
  const lines = (batch: number) =>
    Array.from({ length: size }, (_, i) =>
      JSON.stringify({ n: batch * size + i, text: 'é'.repeat((i * 37) % 400) }),
    ).join('\n')
  const talk = (batch: number) => {
    for (let i = 0; i < commands; i += 1) {
      socket.send(frame(TEXT, ping(`${batch}.${i}`)), frame(PING, `${batch}.${i}`))
    }
  }
  for (let batch = 0; batch < batches; batch += 1) {
    const published = post('load/x', lines(batch), 'application/x-ndjson')
    talk(batch)
    assert.equal((await published).status, 201)
  }
  await socket.wait(
    ({ frames }) => frames.length >= batches * (size + 2 * commands) + 2 || undefined,
  )
  const events = socket.messages.filter(({ specversion }) => specversion !== undefined)
  assert.deepEqual(
    events.map(({ data }) => data.n),
    Array.from({ length: batches * size }, (_, i) => i),
  )
  const expected = Array.from({ length: batches * commands }, (_, i) =>
    [Math.floor(i / commands), i % commands].join('.'),
  )
  const replies = socket.messages.filter(({ id, op }) => op === 'ok' && id !== 'sub')
  assert.deepEqual(
    replies.map(({ id }) => id),
    expected,
  )
  const pongs = socket.frames.filter(({ opcode }) => opcode === PONG)
  assert.deepEqual(
    pongs.map(({ payload }) => payload.toString()),
    expected,
  )
})
