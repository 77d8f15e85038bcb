import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Interest, Listener } from '../../src/events/delivery/audience.ts'
import type { Batch } from '../../src/events/delivery/batch.ts'
import { Delivery, type Membership } from '../../src/events/delivery/delivery.ts'
import { NDJSON_ENCODING } from '../../src/events/delivery/encoding.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { draft, filters } from '../support/events.ts'
import { ROOT } from '../support/principals.ts'

const BUDGET = { events: 1000, bytes: 1_000_000, ageMs: 1_000_000 }
const INTEREST: Interest = {
  encoding: NDJSON_ENCODING,
  rights: ROOT.rights,
  filters: filters('a/**'),
}

/** A member that takes its time and notes what it was given. */
class SlowListener implements Listener {
  readonly offsets: number[] = []
  membership: Membership | undefined
  onDelivery: (() => void) | undefined

  deliver({ events }: Batch): void {
    const end = performance.now() + 1
    while (performance.now() < end);
    this.offsets.push(...events.map(({ offset }) => offset))
    this.onDelivery?.()
  }
}

function setUp(members: number) {
  const log = new MemoryEventLog({ budget: BUDGET, epoch: 'e', now: () => 0 })
  const delivery = new Delivery(log)
  const join = () => {
    const listener = new SlowListener()
    listener.membership = delivery.join(INTEREST, listener)
    return listener
  }
  const listeners = Array.from({ length: members }, join)
  /** Resolves when every listener has come to `offset`. */
  const until = async (offset: number) => {
    while (!listeners.every(({ offsets }) => offsets.includes(offset))) await nextTurn()
  }
  return { log, delivery, join, listeners, until }
}

/** A member that keeps what it is given. */
class Keeper implements Listener {
  readonly batches: Batch[] = []

  deliver(batch: Batch): void {
    this.batches.push(batch)
  }
}

/** Two audiences of three members each that differ in their rights; counts what is done for them. */
function setUpCounted() {
  const log = new MemoryEventLog({ budget: BUDGET, epoch: 'e', now: () => 0 })
  const delivery = new Delivery(log)
  const asked: string[] = []
  const counts = { encodings: 0 }
  const join = (name: string): readonly Keeper[] => {
    const interest: Interest = {
      ...INTEREST,
      encoding: {
        ...NDJSON_ENCODING,
        encode: (...args) => {
          counts.encodings += 1
          return NDJSON_ENCODING.encode(...args)
        },
      },
      rights: {
        ...ROOT.rights,
        may: (_action: string, topic: unknown = '') => {
          asked.push(`${name} ${topic}`)
          return true
        },
      },
    }
    const members = Array.from({ length: 3 }, () => new Keeper())
    for (const member of members) delivery.join(interest, member)
    return members
  }
  return { log, asked, counts, audiences: [join('one'), join('other')] as const }
}

describe('delivery to an audience', () => {
  it('brings what was appended in one turn as one batch, the same bytes to all', async () => {
    const { log, counts, audiences } = setUpCounted()
    await Promise.all([1, 2, 3].map((data) => log.append([draft('a/b', data)])))
    for (const members of audiences) {
      while (members.some(({ batches }) => batches.length === 0)) await nextTurn()
    }
    for (const members of audiences) {
      const [first] = members.map(({ batches }) => batches[0]?.bytes)
      for (const { batches } of members) {
        assert.equal(batches.length, 1)
        assert.equal(batches[0]?.events.length, 3)
        assert.equal(batches[0]?.bytes, first)
      }
    }
    assert.equal(counts.encodings, audiences.length)
  })

  it('asks for rights once for each topic and audience, however many events and members', async () => {
    const { log, asked, audiences } = setUpCounted()
    const last = audiences[1].at(-1)
    for (let round = 1; round <= 5; round += 1) {
      await log.append([draft('a/b', round), draft('a/c', round), draft('a/b', -round)])
      while (last?.batches.length !== round) await nextTurn()
    }
    assert.deepEqual(asked.toSorted(), ['one a/b', 'one a/c', 'other a/b', 'other a/c'])
  })

  it('does nothing at all for a topic that nobody listens to', async (t) => {
    const { log, asked, counts, audiences } = setUpCounted()
    const immediate = t.mock.method(globalThis, 'setImmediate')
    const timeout = t.mock.method(globalThis, 'setTimeout')
    const timers = () => immediate.mock.callCount() + timeout.mock.callCount()
    await log.append([draft('b/a', 1), draft('c', 2)])
    assert.equal(timers(), 0)
    assert.deepEqual(asked, [])
    await log.append([draft('a/b', 3)])
    assert.equal(timers(), 1)
    while (audiences[1].at(-1)?.batches.length === 0) await nextTurn()
    for (const { batches } of audiences.flat()) {
      assert.deepEqual(
        batches.flatMap(({ events }) => events.map(({ topic }) => topic)),
        ['a/b'],
      )
    }
    assert.equal(counts.encodings, 0, 'who looks at no bytes has none made')
  })
})

describe('delivery to very many', () => {
  it('lets everything else have its turn in between', async () => {
    const { log, listeners, until } = setUp(200)
    await log.append([draft('a/b', 1)])
    let turns = 0
    while (listeners.at(-1)?.offsets.length === 0) {
      turns += 1
      await nextTurn()
    }
    // The first slice takes a small part of the 200 ms that all of it takes.
    assert.ok(turns > 3, `${turns} turns`)
    await until(1)
  })

  it('gives everybody the same order when more is committed meanwhile', async () => {
    const { log, listeners, until } = setUp(150)
    await log.append([draft('a/b', 1)])
    await nextTurn()
    await log.append([draft('a/b', 2), draft('a/c', 3)])
    await nextTurn()
    await log.append([draft('a/b', 4)])
    await until(4)
    for (const { offsets } of listeners) assert.deepEqual(offsets, [1, 2, 3, 4])
  })

  it('gives nothing of before to who joins on the way, and all of it to who leaves', async () => {
    const { log, join, listeners, until } = setUp(150)
    await log.append([draft('a/b', 1)])
    while (listeners[0]?.offsets.length === 0) await nextTurn()
    await log.append([draft('a/b', 2)])
    const [newcomer, last] = [join(), listeners.at(-1)]
    assert.deepEqual(last?.offsets, [])
    assert.equal(last?.membership?.isComplete, false)
    last?.membership?.[Symbol.dispose]()
    assert.deepEqual(last?.offsets, [1, 2])
    await log.append([draft('a/b', 3)])
    listeners.pop()
    await until(3)
    assert.deepEqual(newcomer.offsets, [3])
    assert.deepEqual(last?.offsets, [1, 2])
    assert.equal(listeners[0]?.membership?.isComplete, true)
  })

  it('goes on when members leave while they are served', async () => {
    const { log, listeners, until } = setUp(100)
    const leaving = listeners.splice(50)
    for (const listener of leaving) {
      listener.onDelivery = () => listener.membership?.[Symbol.dispose]()
    }
    await log.append([draft('a/b', 1)])
    while (leaving.some(({ offsets }) => offsets.length === 0)) await nextTurn()
    await log.append([draft('a/b', 2)])
    await until(2)
    for (const { offsets } of leaving) assert.deepEqual(offsets, [1])
  })
})
