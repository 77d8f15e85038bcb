import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { Delivery } from '../../src/events/delivery/delivery.ts'
import { Stream } from '../../src/events/delivery/stream.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { answerCall, Caller, isAnswer, isCall } from '../../src/events/remote/calls.ts'
import { type FeedMessage, feedEvents } from '../../src/events/remote/event-feed.ts'
import { decodeRows, encodeRows } from '../../src/events/remote/event-rows.ts'
import { type LinkMessage, MessageLink } from '../../src/events/remote/message-link.ts'
import { RemoteEventLog } from '../../src/events/remote/remote-event-log.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { draft, filters, readAll } from '../support/events.ts'
import { ROOT } from '../support/principals.ts'
import { RecordingSink } from '../support/recording-sink.ts'

/** Two ends of one connection. */
async function socketPair(): Promise<[Socket, Socket, Server]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const client = connect(port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  return [client, accepted, server]
}

/** A log and its view from the other end of a link. */
async function setUp({ events = 100_000 } = {}) {
  const budget = { events, bytes: 1_000_000_000, ageMs: 1_000_000 }
  const log = new MemoryEventLog({ budget, epoch: 'e', now: () => 0 })
  const delivery = new Delivery(log)
  const [near, far, server] = await socketPair()
  const refuse = () => Promise.reject(new BrokerError('FORBIDDEN', 'not here'))
  const link = new MessageLink(near, ({ head }) => {
    if (!isCall(head)) return
    void answerCall(
      link,
      {
        head: async () => ({ value: log.head, events: [] }),
        read: async (query) => {
          const page = log.read(query)
          return { value: { through: page.through }, events: page.events }
        },
        lossAfter: async ({ after, filters: wanted }) => ({
          value: log.lossAfter(after, wanted) ?? null,
          events: [],
        }),
        publish: refuse,
        authenticate: () => Promise.reject(new Error('a secret detail')),
      },
      head,
    )
  })
  const caller = new Caller<never>(() => farLink)
  const started = Promise.withResolvers<RemoteEventLog>()
  let remote: RemoteEventLog | undefined
  const receive = ({ head, rows }: LinkMessage) => {
    if (isAnswer(head)) return caller.settle(head, rows)
    const message = head as FeedMessage
    if ('through' in message) return remote?.feed(decodeRows(rows), message.through)
    remote = new RemoteEventLog(message.epoch, message.start, caller)
    started.resolve(remote)
  }
  const farLink = new MessageLink(far, receive)
  const feed = feedEvents({ log, delivery }, link, () => {})
  return {
    log,
    caller,
    remote: await started.promise,
    [Symbol.asyncDispose]: async () => {
      feed[Symbol.dispose]()
      near.destroy()
      far.destroy()
      server.close()
    },
  }
}

test('rows are read back as the events that were written', () => {
  const event = fc.record({
    offset: fc.maxSafeNat(),
    topic: fc.string({ unit: 'grapheme', minLength: 1 }),
    json: fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
  })
  fc.assert(
    fc.property(fc.array(event), (events) => {
      const rows = encodeRows(events as never)
      const plain = (each: { offset: number; topic: string; json: Buffer }) => ({
        offset: each.offset,
        topic: each.topic,
        json: each.json.toString(),
      })
      assert.deepEqual(decodeRows(rows).map(plain), events.map(plain))
    }),
  )
})

test('messages arrive whole and in order, however their bytes are cut', async () => {
  const [near, far, server] = await socketPair()
  const sent = Array.from({ length: 200 }, (_, i) => ({
    head: { i, text: 'é'.repeat(i) },
    rows: Buffer.alloc((i * 7919) % 5000, i),
  }))
  const received: LinkMessage[] = []
  const done = Promise.withResolvers<void>()
  // A receiver that is given one byte less and more at a time.
  const cut = {
    on: (_: string, take: (chunk: Buffer) => void) =>
      far.on('data', (chunk: Buffer) => {
        for (let at = 0, size = 1; at < chunk.length; at += size, size = (size * 3 + 1) % 997) {
          take(chunk.subarray(at, at + Math.max(size, 1)))
          if (size === 0) size = 1
        }
      }),
  }
  new MessageLink(
    Object.assign(Object.create(far), {
      on: (name: string, take: (chunk: Buffer) => void) =>
        name === 'data' ? cut.on(name, take) : far.on(name, take),
    }),
    (message) => {
      received.push({ head: message.head, rows: Buffer.from(message.rows) })
      if (received.length === sent.length) done.resolve()
    },
  )
  const link = new MessageLink(near, () => {})
  for (const { head, rows } of sent) link.send(head, rows)
  await done.promise
  assert.deepEqual(received, sent)
  near.destroy()
  far.destroy()
  server.close()
})

test('the log from afar has the same events, positions and losses', async () => {
  await using both = await setUp({ events: 50 })
  const { log, remote } = both
  await log.append(Array.from({ length: 120 }, (_, i) => draft(i % 2 ? 'a' : 'files/b', i)))
  await remote.refresh()
  assert.equal(remote.head, log.head)
  assert.equal(remote.epoch, log.epoch)
  for (const after of [0, 10, 60, 110, 120]) {
    for (const filter of ['a', '**', 'files/**']) {
      const wanted = filters(filter)
      if (after >= 60) {
        const page = await remote.read({ after, filters: wanted, limit: 1000 })
        assert.deepEqual(page, log.read({ after, filters: wanted, limit: 1000 }))
      }
    }
  }
})

test('a stream over the log from afar resumes before its start and goes on live', async () => {
  const budget = { events: 100_000, bytes: 1_000_000_000, ageMs: 1_000_000 }
  const log = new MemoryEventLog({ budget, epoch: 'e', now: () => 0 })
  await log.append(Array.from({ length: 3000 }, (_, i) => draft('a/b', i)))
  await using late = await setUpOver(log)
  const sink = new RecordingSink()
  const stream = new Stream({ ...late, sink }, ROOT)
  await stream.subscribe(filters('a/**'), { epoch: 'e', offset: 1000 })
  await log.append([draft('a/b', 'live')])
  await sink.until(() => sink.data.at(-1) === 'live')
  assert.equal(sink.data.length, 2001)
  assert.equal(new Set(sink.data).size, 2001)
})

async function setUpOver(log: MemoryEventLog) {
  // A view that began at the head: what is before it must be asked for.
  const caller = {
    call: async (method: string, ask: never) => {
      if (method === 'head') return { value: log.head, events: [] }
      if (method === 'read') {
        const page = log.read(ask)
        return { value: { through: page.through }, events: page.events }
      }
      return { value: null, events: [] }
    },
  }
  const remote = new RemoteEventLog(log.epoch, log.head, caller as never)
  const subscription = log.onCommit((events) => remote.feed(events, log.head))
  return {
    log: remote,
    delivery: new Delivery(remote),
    [Symbol.asyncDispose]: async () => subscription[Symbol.dispose](),
  }
}

test('a position that has not arrived here yet is waited for, one beyond the head is not', async () => {
  await using both = await setUp()
  const { log, remote } = both
  const delivery = new Delivery(remote)
  const sink = new RecordingSink()
  const stream = new Stream({ log: remote, delivery, sink }, ROOT)
  const [ack] = await log.append([draft('a', 1)])
  const told: boolean[] = []
  const accepted = ({ recovered }: { recovered: boolean }) => told.push(recovered)
  const since = { epoch: 'e', offset: ack?.offset ?? 0 }
  await stream.subscribe(filters('a'), since, { accepted })
  assert.deepEqual(told, [true])
  const other = new Stream({ log: remote, delivery, sink: new RecordingSink() }, ROOT)
  await other.subscribe(filters('a'), { epoch: 'e', offset: 99 }, { accepted })
  assert.deepEqual(told, [true, false])
  await log.append([draft('a', 2)])
  await sink.until(() => sink.data.length > 0)
  assert.deepEqual(sink.data, [2])
  assert.equal((await readAll(log, 0, 'a')).length, 2)
})

test('a refusal comes back as it was, an unknown failure without its words', async () => {
  await using both = await setUp()
  const publish = both.caller.call('publish', {
    connection: 1,
    inputs: [],
    options: { isBatch: false },
  })
  await assert.rejects(publish, { code: 'FORBIDDEN', message: 'not here' })
  const authenticate = both.caller.call('authenticate', { connection: 1, token: 'x' })
  await assert.rejects(authenticate, { code: 'INTERNAL', message: 'the request failed' })
})
