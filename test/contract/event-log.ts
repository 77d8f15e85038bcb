import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { EventLog, StoredEvent } from '../../src/events/log/event-log.ts'
import type { HistoryBudget } from '../../src/events/log/history-budget.ts'
import { dataOf, draft, filters, readAll } from '../support/events.ts'

export interface EventLogFixture {
  open(options: { budget: HistoryBudget; now(): number }): Promise<EventLog>
}

const ROOMY: HistoryBudget = { events: 1000, bytes: 1_000_000, ageMs: 1_000_000 }

/** What every event log promises. */
export function testEventLog(name: string, { open }: EventLogFixture): void {
  const openRoomy = () => open({ budget: ROOMY, now: () => 1000 })

  test(`${name}: offsets increase in the order of appends, also of appends that overlap`, async () => {
    await using log = await openRoomy()
    const batches = await Promise.all(
      [1, 2, 3].map((n) => log.append([draft('a', `${n}a`), draft('a', `${n}b`)])),
    )
    const offsets = batches.flat().map(({ offset }) => offset)
    assert.deepEqual(
      offsets,
      [...offsets].sort((a, b) => a - b),
    )
    assert.equal(new Set(offsets).size, 6)
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), ['1a', '1b', '2a', '2b', '3a', '3b'])
  })

  test(`${name}: an event is told before its append resolves and after it is readable`, async () => {
    await using log = await openRoomy()
    const told: StoredEvent[] = []
    using _listening = log.onCommit((events) => {
      assert.ok(events.every(({ offset }) => offset <= log.head))
      told.push(...events)
    })
    await log.append([draft('a/b', 1)])
    assert.deepEqual(dataOf(told), [1])
    assert.equal(told[0]?.offset, log.head)
  })

  test(`${name}: the position is the last attribute and names the epoch`, async () => {
    await using log = await openRoomy()
    const [ack] = await log.append([draft('a', 1)])
    const [event] = await readAll(log, 0, 'a')
    assert.match(
      event?.json.toString() ?? '',
      new RegExp(`,"position":"${log.epoch}:${ack?.offset}"}$`),
    )
  })

  test(`${name}: a read is cut by its limit and goes on after \`through\``, async () => {
    await using log = await openRoomy()
    await log.append(Array.from({ length: 20 }, (_, i) => draft(i % 2 ? 'odd' : 'even', i)))
    const page = await log.read({ after: 0, filters: filters('odd'), limit: 3 })
    assert.deepEqual(dataOf(page.events), [1, 3, 5])
    assert.deepEqual(dataOf(await readAll(log, page.through, 'odd')), [7, 9, 11, 13, 15, 17, 19])
  })

  test(`${name}: a read is cut by its bytes and gives one event at least`, async () => {
    await using log = await open({ budget: { ...ROOMY, bytes: 100_000_000 }, now: () => 1000 })
    // The draft holds its data twice: as such and in its id.
    const sizes = [0.15, 0.15, 0.15, 0.15, 1, 0.15].map((mebibytes) => mebibytes * 1024 * 1024)
    for (const size of sizes) await log.append([draft('a', 'x'.repeat(size))])
    const counts: number[] = []
    for (let after = 0; after < log.head; ) {
      const page = await log.read({ after, filters: filters('a'), limit: 500 })
      counts.push(page.events.length)
      after = page.through
    }
    assert.deepEqual(counts, [4, 1, 1])
  })

  test(`${name}: filters with wildcards find exactly what they match`, async () => {
    await using log = await openRoomy()
    const topics = ['ci', 'ci/a', 'ci/a/b', 'ci0', 'cj/a', 'files/ci/a']
    await log.append(topics.map((topic) => draft(topic, topic)))
    const found = async (...texts: string[]) => dataOf(await readAll(log, 0, ...texts))
    assert.deepEqual(await found('ci/**'), ['ci', 'ci/a', 'ci/a/b'])
    assert.deepEqual(await found('ci/*'), ['ci/a'])
    assert.deepEqual(await found('*/a'), ['ci/a', 'cj/a'])
    assert.deepEqual(await found('**'), topics)
    assert.deepEqual(await found('ci', 'files/**'), ['ci', 'files/ci/a'])
    assert.deepEqual(await found('nothing'), [])
  })

  test(`${name}: a known identity is acknowledged with the first position and stored once`, async () => {
    await using log = await openRoomy()
    const [first] = await log.append([draft('a', 1, { identity: 'x' })])
    const [again, other] = await log.append([
      draft('a', 2, { identity: 'x' }),
      draft('a', 3, { identity: 'y' }),
    ])
    assert.deepEqual(again, { ...first, duplicate: true })
    assert.equal(other?.duplicate, false)
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1, 3])
  })

  test(`${name}: the same identity twice at once is stored once`, async () => {
    await using log = await openRoomy()
    const [first, second] = await Promise.all([
      log.append([draft('a', 1, { identity: 'x' })]),
      log.append([draft('a', 1, { identity: 'x' })]),
    ])
    assert.equal(first?.[0]?.offset, second?.[0]?.offset)
    assert.deepEqual([first?.[0]?.duplicate, second?.[0]?.duplicate], [false, true])
  })

  test(`${name}: a known identity on another topic refuses the whole batch`, async () => {
    await using log = await openRoomy()
    await log.append([draft('a', 1, { identity: 'x' })])
    const batch = [draft('a', 2, { identity: 'new' }), draft('b', 3, { identity: 'x' })]
    await assert.rejects(log.append(batch), { code: 'EVENT_CONFLICT', fields: { index: 1 } })
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1])
    const [retried] = await log.append([draft('a', 2, { identity: 'new' })])
    assert.equal(retried?.duplicate, false)
  })

  test(`${name}: an identity is forgotten after five minutes`, async () => {
    let now = 1000
    await using log = await open({ budget: { ...ROOMY, ageMs: 10_000_000 }, now: () => now })
    await log.append([draft('a', 1, { identity: 'x' })])
    now += 5 * 60_000 + 1
    const [later] = await log.append([draft('a', 2, { identity: 'x' })])
    assert.equal(later?.duplicate, false)
  })

  test(`${name}: what is over the budget is dropped, and the loss is known`, async () => {
    await using log = await open({ budget: { ...ROOMY, events: 3 }, now: () => 1000 })
    for (let i = 1; i <= 5; i += 1) await log.append([draft('a', i)])
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [3, 4, 5])
    const first = log.head - 4
    assert.deepEqual(log.lossAfter(first - 1, filters('a')), {
      resumed: first + 1,
      through: first + 1,
    })
    assert.equal(log.lossAfter(first + 1, filters('a')), undefined)
  })

  test(`${name}: file changes and published events do not push each other out`, async () => {
    await using log = await open({ budget: { ...ROOMY, events: 2 }, now: () => 1000 })
    await log.append([draft('files/x', 'kept')])
    for (let i = 1; i <= 4; i += 1) await log.append([draft('a', i)])
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), ['kept', 3, 4])
    assert.equal(log.lossAfter(0, filters('files/**')), undefined)
    assert.notEqual(log.lossAfter(0, filters('**')), undefined)
  })

  test(`${name}: what is too old is dropped`, async () => {
    let now = 1000
    await using log = await open({ budget: { ...ROOMY, ageMs: 100 }, now: () => now })
    await log.append([draft('a', 1)])
    now += 101
    await log.append([draft('a', 2)])
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [2])
  })

  test(`${name}: one who floods does not push out what others published`, async () => {
    await using log = await open({ budget: { ...ROOMY, events: 10 }, now: () => 1000 })
    for (const data of [1, 2, 3]) await log.append([draft('a', data, { user: 'ann' })])
    for (let i = 0; i < 50; i += 1) await log.append([draft('b', i, { user: 'flooder' })])
    assert.deepEqual(dataOf(await readAll(log, 0, 'a')), [1, 2, 3])
    assert.deepEqual(dataOf(await readAll(log, 0, 'b')), [43, 44, 45, 46, 47, 48, 49])
    const first = log.head - 52
    assert.deepEqual(log.lossAfter(first + 1, filters('**')), {
      resumed: first + 1,
      through: log.head - 7,
    })
  })

  test(`${name}: a flood of thousands leaves what others published where it was`, async () => {
    await using log = await open({ budget: { ...ROOMY, events: 10 }, now: () => 1000 })
    await log.append([draft('a', 'kept', { user: 'ann' }), draft('files/x', 'file')])
    for (let batch = 0; batch < 40; batch += 1) {
      const flood = Array.from({ length: 100 }, (_, i) => batch * 100 + i)
      await log.append(flood.map((data) => draft(`b/${data % 7}`, data, { user: 'flooder' })))
    }
    const newest = [3991, 3992, 3993, 3994, 3995, 3996, 3997, 3998, 3999]
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), ['kept', 'file', ...newest])
    assert.deepEqual(dataOf(await readAll(log, 0, 'a', 'files/**')), ['kept', 'file'])
    assert.deepEqual(dataOf(await readAll(log, 0, 'b/*')), newest)
  })

  test(`${name}: one whose events are large does not push out what others published`, async () => {
    await using log = await open({ budget: { ...ROOMY, bytes: 10_000 }, now: () => 1000 })
    await log.append([draft('a', 'kept', { user: 'ann' })])
    const large = 'x'.repeat(2000)
    for (let i = 0; i < 20; i += 1) await log.append([draft('b', large, { user: 'flooder' })])
    assert.deepEqual(dataOf(await readAll(log, 0, 'a')), ['kept'])
  })

  test(`${name}: one who publishes alone has the whole budget`, async () => {
    await using log = await open({ budget: { ...ROOMY, events: 10 }, now: () => 1000 })
    for (let i = 0; i < 30; i += 1) await log.append([draft('a', i)])
    assert.equal((await readAll(log, 0, '**')).length, 10)
  })

  test(`${name}: what is missing is told to be lost, and nothing else`, async () => {
    await fc.assert(fc.asyncProperty(budgets, schedules, checkLosses), { numRuns: 25 })
  })

  async function checkLosses(budget: HistoryBudget, schedule: readonly Step[]): Promise<void> {
    let now = 1000
    await using log = await open({ budget, now: () => now })
    const all: { readonly offset: number; readonly topic: string }[] = []
    for (const { user, topic, size, later } of schedule) {
      now += later
      const [ack] = await log.append([draft(topic, 'x'.repeat(size), { user })])
      all.push({ offset: ack?.offset ?? 0, topic })
    }
    for (const filter of ['**', 'files/**', 'a']) {
      const kept = new Set((await readAll(log, 0, filter)).map(({ offset }) => offset))
      const isAsked = ({ topic }: { topic: string }) =>
        filter === '**' || topic.startsWith('files/') === (filter === 'files/**')
      const missing = all.filter((event) => isAsked(event) && !kept.has(event.offset))
      const through = missing.at(-1)?.offset ?? 0
      const resumed = Math.min(through, Math.min(...kept) - 1)
      for (let after = 0; after <= log.head; after += 1) {
        const loss = await log.lossAfter(after, filters(filter))
        if (after >= through) assert.equal(loss, undefined)
        else assert.equal(loss?.through, through)
        if (loss === undefined) continue
        assert.ok(loss.resumed >= after && loss.resumed <= Math.max(after, resumed))
      }
    }
  }
}

interface Step {
  readonly user: string
  readonly topic: string
  readonly size: number
  readonly later: number
}

const budgets = fc.record({
  events: fc.integer({ min: 1, max: 20 }),
  bytes: fc.integer({ min: 100, max: 5000 }),
  ageMs: fc.integer({ min: 5, max: 100 }),
})

const schedules = fc.array(
  fc.record({
    user: fc.constantFrom('flooder', 'flooder', 'ann', 'ben'),
    topic: fc.constantFrom('a', 'a', 'files/x'),
    size: fc.nat({ max: 500 }),
    later: fc.nat({ max: 5 }),
  }),
  { maxLength: 50 },
)
