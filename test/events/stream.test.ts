import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { Principal } from '../../src/auth/principal.ts'
import { Delivery } from '../../src/events/delivery/delivery.ts'
import { Stream } from '../../src/events/delivery/stream.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { draft, filters } from '../support/events.ts'
import { ANONYMOUS, ROOT, rightsTo, userWith } from '../support/principals.ts'
import { RecordingSink } from '../support/recording-sink.ts'

const BUDGET = { events: 100, bytes: 100_000_000, ageMs: 1_000_000 }

class Fixture {
  readonly log: MemoryEventLog
  readonly delivery: Delivery

  constructor({ events = 100 } = {}) {
    this.log = new MemoryEventLog({ budget: { ...BUDGET, events }, epoch: 'e', now: () => 1000 })
    this.delivery = new Delivery(this.log)
  }

  connect(principal: Principal = ROOT, sink = new RecordingSink()) {
    const stream = new Stream({ log: this.log, delivery: this.delivery, sink }, principal)
    return { stream, sink }
  }

  async publish(topic: string, ...data: unknown[]): Promise<void> {
    await this.log.append(data.map((value) => draft(topic, value)))
  }

  /** Publishes a mark that `sink` gets after everything before it. */
  async settle(sink: RecordingSink, topic: string): Promise<void> {
    await this.publish(topic, 'mark')
    await sink.until(() => sink.data.at(-1) === 'mark')
  }
}

test('a subscriber gets what is published after it subscribed, once and in order', async () => {
  const fixture = new Fixture()
  const { stream, sink } = fixture.connect()
  await fixture.publish('a', 'before')
  await stream.subscribe(filters('a', '**', 'a/*'), 'latest')
  await fixture.publish('a', 1, 2)
  await fixture.publish('b', 3)
  await fixture.settle(sink, 'a')
  assert.deepEqual(sink.data, [1, 2, 3, 'mark'])
})

test('a replay is followed by live events without a gap or a repeat', async () => {
  const fixture = new Fixture({ events: 10_000 })
  await fixture.publish('a', ...Array.from({ length: 2000 }, (_, i) => i))
  const { stream, sink } = fixture.connect()
  const subscribed = stream.subscribe(filters('a'), { epoch: 'e', offset: 500 })
  for (let i = 2000; i < 2100; i += 1) await fixture.publish('a', i)
  await subscribed
  await fixture.settle(sink, 'a')
  assert.deepEqual(sink.data, [...Array.from({ length: 1600 }, (_, i) => 500 + i), 'mark'])
})

test('the reply comes before the replay and the end of the replay is told with a position', async () => {
  const fixture = new Fixture()
  await fixture.publish('a', 1, 2)
  const { stream, sink } = fixture.connect()
  const seen: unknown[] = []
  await stream.subscribe(filters('a'), 'earliest', {
    accepted: (subscribed) => seen.push(subscribed, sink.events.length),
    replayed: (position) => seen.push(position, sink.events.length),
  })
  assert.deepEqual(seen, [{ position: 'e:0', recovered: true }, 0, 'e:2', 2])
})

test('its position is behind what the sink was not yet given', async () => {
  const fixture = new Fixture()
  await fixture.publish('a', 1, 2)
  const { stream, sink } = fixture.connect()
  assert.equal(stream.position, 'e:2')
  const positions: string[] = []
  await stream.subscribe(filters('a'), 'earliest', {
    accepted: () => positions.push(stream.position),
    replayed: () => positions.push(stream.position),
  })
  assert.deepEqual(positions, ['e:0', 'e:2'])
  await fixture.publish('a', 3)
  // Committed, and in a window that is still open.
  assert.equal(stream.position, 'e:2')
  await sink.until(() => sink.data.at(-1) === 3)
  assert.equal(stream.position, 'e:3')
  await fixture.publish('b', 4)
  assert.equal(stream.position, 'e:4')
})

test('a second filter does not replay what an older one delivered', async () => {
  const fixture = new Fixture()
  await fixture.publish('a/x', 'old')
  await fixture.publish('b', 'b1')
  const { stream, sink } = fixture.connect()
  await stream.subscribe(filters('a/*'), 'latest')
  await fixture.publish('a/x', 'live')
  await fixture.publish('b', 'b2')
  await stream.subscribe(filters('**'), 'earliest')
  await fixture.settle(sink, 'b')
  assert.deepEqual(sink.data, ['live', 'old', 'b1', 'b2', 'mark'])
})

test('after unsubscribing a filter its events stop and those of others go on', async () => {
  const fixture = new Fixture()
  const { stream, sink } = fixture.connect()
  await stream.subscribe(filters('a', 'b'), 'latest')
  await fixture.publish('a', 1)
  await stream.unsubscribe(filters('a'))
  await fixture.publish('a', 2)
  await fixture.settle(sink, 'b')
  assert.deepEqual(sink.data, [1, 'mark'])
})

test('a position of another epoch, or beyond the head, is told as a gap before the first event', async () => {
  const fixture = new Fixture()
  await fixture.publish('a', 1)
  for (const since of [
    { epoch: 'other', offset: 1 },
    { epoch: 'e', offset: 99 },
  ]) {
    const { stream, sink } = fixture.connect()
    let recovered: boolean | undefined
    await stream.subscribe(filters('a'), since, {
      accepted: (subscribed) => {
        recovered = subscribed.recovered
      },
    })
    assert.equal(recovered, false)
    const [gap, event] = sink.events.map(({ json }) => JSON.parse(json.toString()))
    assert.equal(gap.type, 'EVENTS MISSED')
    assert.equal(gap.topic, 'broker/missed')
    assert.deepEqual(gap.data, {
      since: `${since.epoch}:${since.offset}`,
      resumed: 'e:0',
      reason: 'epoch',
    })
    assert.equal(gap.position, 'e:0')
    assert.equal(event.data, 1)
  }
})

test('a position that was trimmed away is told as a gap, and only to those whom it concerns', async () => {
  const fixture = new Fixture({ events: 2 })
  await fixture.publish('a', 1, 2, 3, 4)
  await fixture.publish('files/f', 'f')
  const concerned = fixture.connect()
  await concerned.stream.subscribe(filters('a'), { epoch: 'e', offset: 1 })
  assert.deepEqual(concerned.sink.data, [{ since: 'e:1', resumed: 'e:2', reason: 'trimmed' }, 3, 4])
  const other = fixture.connect()
  await other.stream.subscribe(filters('files/**'), { epoch: 'e', offset: 1 })
  assert.deepEqual(other.sink.data, ['f'])
})

test('a slow connection is continued from the log without loss, and slows nobody', async () => {
  const fixture = new Fixture({ events: 10_000 })
  const slow = fixture.connect()
  const quick = fixture.connect()
  await slow.stream.subscribe(filters('a'), 'latest')
  await quick.stream.subscribe(filters('a'), 'latest')
  await fixture.publish('a', 0)
  await slow.sink.until(() => slow.sink.data.length === 1)
  slow.sink.backlogBytes = 2 ** 30
  for (let i = 1; i < 1000; i += 1) await fixture.publish('a', i)
  await quick.sink.until(() => quick.sink.data.length === 1000)
  assert.deepEqual(slow.sink.data, [0])
  slow.sink.drain()
  await fixture.settle(slow.sink, 'a')
  assert.deepEqual(slow.sink.data, [...Array.from({ length: 1000 }, (_, i) => i), 'mark'])
})

test('a slow connection that falls out of the history is told, or closed when it can resume', async () => {
  for (const isResumable of [true, false]) {
    const fixture = new Fixture({ events: 5 })
    const { stream, sink } = fixture.connect(ROOT, new RecordingSink({ isResumable }))
    const quick = fixture.connect()
    await stream.subscribe(filters('a'), 'latest')
    await quick.stream.subscribe(filters('a'), 'latest')
    sink.backlogBytes = 2 ** 30
    await fixture.publish('a', ...Array.from({ length: 20 }, (_, i) => i))
    await quick.sink.until(() => quick.sink.data.length === 20)
    sink.drain()
    await sink.until(() => sink.ended !== undefined || sink.data.length > 5)
    if (isResumable) {
      assert.equal(sink.ended, 'slowConsumer')
      assert.deepEqual(sink.data, [])
    } else {
      assert.deepEqual(sink.data[0], { since: 'e:0', resumed: 'e:15', reason: 'slow' })
      assert.deepEqual(sink.data.slice(1), [15, 16, 17, 18, 19])
    }
  }
})

test('each event is delivered only to those who may receive its topic', async () => {
  const fixture = new Fixture()
  const narrow = fixture.connect(userWith(rightsTo('a/**')))
  const wide = fixture.connect()
  await fixture.publish('a/x', 'replayed')
  await fixture.publish('b', 'hidden')
  await narrow.stream.subscribe(filters('**'), 'earliest')
  await wide.stream.subscribe(filters('**'), 'latest')
  await fixture.publish('b', 1)
  await fixture.publish('a/x', 2)
  await fixture.settle(narrow.sink, 'a/y')
  await wide.sink.until(() => wide.sink.data.length === 3)
  assert.deepEqual(narrow.sink.data, ['replayed', 2, 'mark'])
  assert.deepEqual(wide.sink.data, [1, 2, 'mark'])
})

test('a filter of which nothing may be received is refused', async () => {
  const fixture = new Fixture()
  const { stream } = fixture.connect(userWith(rightsTo('a/**')))
  await assert.rejects(stream.subscribe(filters('b/*'), 'latest'), { code: 'FORBIDDEN' })
  const anonymous = fixture.connect(ANONYMOUS)
  await assert.rejects(anonymous.stream.subscribe(filters('a'), 'latest'), {
    code: 'UNAUTHENTICATED',
  })
})

test('narrowed rights narrow what is delivered at once; lost ones end the connection', async () => {
  const fixture = new Fixture()
  const { stream, sink } = fixture.connect()
  await stream.subscribe(filters('**'), 'latest')
  await fixture.publish('b', 1)
  stream.judge(userWith(rightsTo('a/**'), 'root'))
  await fixture.publish('b', 2)
  await fixture.settle(sink, 'a/x')
  assert.deepEqual(sink.data, [1, 'mark'])
  stream.judge(userWith(rightsTo('nothing'), 'root'))
  assert.equal(sink.ended, undefined)
  const other = fixture.connect()
  await other.stream.subscribe(filters('b'), 'latest')
  other.stream.judge(userWith(rightsTo('a'), 'root'))
  assert.equal(other.sink.ended, 'forbidden')
  stream.judge(undefined)
  assert.equal(sink.ended, 'unauthenticated')
})

test('a quiet live stream is told the head of the log', async () => {
  const fixture = new Fixture()
  const { stream, sink } = fixture.connect()
  await stream.subscribe(filters('a'), 'latest')
  await fixture.publish('b', 1, 2)
  stream.tick(0)
  assert.deepEqual(sink.positions, ['e:2'])
})

test('a newcomer hears events although the only other member of its audience is full', async () => {
  const fixture = new Fixture()
  const full = fixture.connect()
  await full.stream.subscribe(filters('a'), 'latest')
  full.sink.backlogBytes = 2 ** 30
  await fixture.publish('a', 1)
  const newcomer = fixture.connect()
  await newcomer.stream.subscribe(filters('a'), 'latest')
  await fixture.settle(newcomer.sink, 'a')
  assert.deepEqual(newcomer.sink.data, ['mark'])
  full.sink.drain()
  await full.sink.until(() => full.sink.data.length === 2)
})

test('what is lost while a further subscription looks for its place is told', async () => {
  const fixture = new Fixture({ events: 3 })
  const { stream, sink } = fixture.connect()
  await stream.subscribe(filters('a'), 'latest')
  const { log } = fixture
  const lossAfter = log.lossAfter.bind(log)
  log.lossAfter = (...asked) => {
    log.lossAfter = lossAfter
    void fixture.publish('a', ...Array.from({ length: 30 }, (_, i) => i))
    return lossAfter(...asked)
  }
  await stream.subscribe(filters('b'), 'earliest')
  const gap = { since: 'e:0', resumed: 'e:27', reason: 'slow' }
  assert.deepEqual(sink.data, [gap, 27, 28, 29])
})

test('a replay ends where it starts or after it, whatever is lost while its start is looked for', async () => {
  const fixture = new Fixture({ events: 3 })
  await fixture.publish('a', 1, 2)
  const { stream, sink } = fixture.connect()
  const { log } = fixture
  const lossAfter = log.lossAfter.bind(log)
  log.lossAfter = (...asked) => {
    log.lossAfter = lossAfter
    void fixture.publish('a', 3, 4, 5, 6, 7)
    return lossAfter(...asked)
  }
  const told: string[] = []
  await stream.subscribe(
    filters('a'),
    { epoch: 'e', offset: 1 },
    {
      accepted: ({ position }) => told.push(position),
      replayed: (position) => told.push(position),
    },
  )
  assert.deepEqual(told, ['e:2', 'e:2'])
  assert.deepEqual(
    sink.events.map(({ offset, topic }) => `${offset} ${topic}`),
    ['2 broker/missed', '4 broker/missed', '5 a', '6 a', '7 a'],
  )
})

test('a stream that is closed while it subscribes is not counted afterwards', async () => {
  const fixture = new Fixture()
  await fixture.publish('a', 1, 2)
  for (let turns = 0; turns < 20; turns += 1) {
    const { stream } = fixture.connect()
    const subscribed = stream.subscribe(filters('a'), 'earliest')
    for (let i = 0; i < turns; i += 1) await Promise.resolve()
    stream[Symbol.dispose]()
    await subscribed
    assert.equal(fixture.delivery.subscribers.size, 0, `closed after ${turns} turns`)
  }
})

test('a stream that is closed while its socket is full joins nobody when that drains', async () => {
  const fixture = new Fixture()
  const join = mock.method(fixture.delivery, 'join')
  const { stream, sink } = fixture.connect()
  sink.backlogBytes = 2 ** 30
  const subscribed = stream.subscribe(filters('a'), 'latest')
  await new Promise((resolve) => setImmediate(resolve))
  stream[Symbol.dispose]()
  sink.drain()
  await subscribed
  assert.equal(join.mock.callCount(), 0)
})
