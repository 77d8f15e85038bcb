import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HistoryAccount, type Share } from '../../src/events/log/history-account.ts'
import type { HistoryBudget } from '../../src/events/log/history-budget.ts'

interface Counted {
  readonly user: string | null
  readonly offset: number
  readonly bytes: number
  readonly time: number
}

/** The rule of `HistoryAccount` for small budgets, said without blocks. */
function trimmedNaively(kept: readonly Counted[], budget: HistoryBudget, now: number): Counted[] {
  const left = kept.filter(({ time }) => time > now - budget.ageMs)
  const bytesOf = (events: readonly Counted[]) => events.reduce((sum, { bytes }) => sum + bytes, 0)
  while (left.length > budget.events || bytesOf(left) > budget.bytes) {
    const isOfLarge = ({ user }: Counted) => {
      const theirs = left.filter((event) => event.user === user)
      return theirs.length > budget.events / 2 || bytesOf(theirs) > budget.bytes / 2
    }
    left.splice(Math.max(0, left.findIndex(isOfLarge)), 1)
  }
  return left
}

test('a small history keeps, event by event, what the rule of fair shares says', () => {
  const budgets = fc.record({
    events: fc.integer({ min: 1, max: 30 }),
    bytes: fc.integer({ min: 1, max: 255 }),
    ageMs: fc.integer({ min: 1, max: 60 }),
  })
  const step = fc.record({
    user: fc.constantFrom('flooder', 'flooder', 'flooder', 'ann', 'ben', null),
    bytes: fc.integer({ min: 1, max: 20 }),
    later: fc.nat({ max: 5 }),
    isTrimmed: fc.boolean(),
  })
  fc.assert(
    fc.property(budgets, fc.array(step, { maxLength: 80 }), (budget, steps) => {
      const account = new HistoryAccount(budget)
      const all: { readonly event: Counted; readonly share: Share }[] = []
      let kept: Counted[] = []
      let time = 1000
      for (const { user, bytes, later, isTrimmed } of steps) {
        time += later
        const event = { user, bytes, time, offset: all.length + 1 }
        all.push({ event, share: account.add(user, event.offset, bytes, time) })
        kept.push(event)
        if (!isTrimmed) continue
        account.trim(time)
        kept = trimmedNaively(kept, budget, time)
        const seen = all.filter(({ event, share }) => event.offset > share.droppedThrough)
        assert.deepEqual(
          seen.map(({ event }) => event),
          kept,
        )
        assert.equal(account.events, kept.length)
        const lost = all.filter(({ event }) => !kept.includes(event))
        assert.equal(account.lostThrough, lost.at(-1)?.event.offset ?? 0)
        const gone = Math.min((kept[0]?.offset ?? Infinity) - 1, account.lostThrough)
        assert.equal(account.goneThrough, gone)
      }
    }),
  )
})

test('a large history is dropped in steps and keeps almost all of its budget', () => {
  const budget = { events: 100_000, bytes: Infinity, ageMs: Infinity }
  const account = new HistoryAccount(budget)
  let steps = 0
  for (let offset = 1; offset <= 300_000; offset += 1) {
    account.add(`user-${offset % 1000}`, offset, 1, 0)
    if (account.trim(0).length > 0) steps += 1
    assert.ok(account.events <= budget.events)
    assert.ok(offset < budget.events || account.events >= budget.events * 0.99)
  }
  assert.ok(steps <= 600, `${steps} steps`)
})

test('an old block at the front does not keep what a flooder lost from being forgotten', () => {
  const account = new HistoryAccount({ events: 10, bytes: Infinity, ageMs: Infinity })
  account.add('ann', 1, 1, 0)
  for (let offset = 2; offset <= 100; offset += 1) {
    account.add('flooder', offset, 1, 0)
    account.trim(0)
  }
  assert.equal(account.events, 10)
  assert.equal(account.goneThrough, 0)
  assert.equal(account.lostThrough, 91)
})
