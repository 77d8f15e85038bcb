import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Fingerprint } from '../../src/files/fingerprint.ts'
import { type PathHint, Settle } from '../../src/files/watch/settle.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { FakeTimers } from './fake-timers.ts'

function fingerprint(version: number): Fingerprint {
  return { dev: 1n, ino: 1n, size: version, mtimeNs: 0n, ctimeNs: BigInt(version) }
}

function hint(name: string, seen: Fingerprint | null = null): PathHint {
  return { path: name as FilePath, origin: 'disk', isEvent: true, seen }
}

function setUp(settleMs = 500, longestMs = 60_000) {
  const timers = new FakeTimers()
  const taken: string[] = []
  let tickets = 0
  const settle: Settle = new Settle({
    settleMs,
    longestMs,
    timers,
    onDue: () => {
      for (const { path } of settle.takeDue(100)) taken.push(`${path}@${timers.now()}`)
    },
  })
  const push = (next: PathHint) => settle.push(next, () => ++tickets)
  return { timers, taken, settle, push, ticketsGiven: () => tickets }
}

test('a path is due when it was quiet for the settle time', () => {
  const { timers, taken, push } = setUp()
  push(hint('a'))
  timers.advance(499)
  assert.deepEqual(taken, [])
  timers.advance(1)
  assert.deepEqual(taken, ['a@500'])
})

test('each hint starts the wait anew and keeps the ticket of the first', () => {
  const { timers, taken, push, ticketsGiven } = setUp()
  push(hint('a'))
  timers.advance(400)
  push(hint('a'))
  push(hint('b'))
  timers.advance(499)
  assert.deepEqual(taken, [])
  timers.advance(1)
  assert.deepEqual(taken, ['a@900', 'b@900'])
  assert.equal(ticketsGiven(), 2)
})

test('a scan that finds what waits already does not start the wait anew', () => {
  const { timers, taken, push } = setUp()
  push(hint('a', fingerprint(1)))
  push(hint('b'))
  timers.advance(400)
  push({ ...hint('a', fingerprint(1)), isEvent: false })
  push({ ...hint('b', fingerprint(2)), isEvent: false })
  timers.advance(500)
  assert.deepEqual(taken, ['a@500', 'b@900'])
})

test('a path that is never quiet is due after the longest wait', () => {
  const { timers, taken, push } = setUp(500, 2000)
  for (let i = 0; i < 30; i += 1) {
    push(hint('a'))
    if (taken.length > 0) break
    timers.advance(100)
  }
  assert.deepEqual(taken, ['a@2000'])
})

test('what is put back keeps its age, so that it becomes overdue', () => {
  const timers = new FakeTimers()
  const overdueAt: number[] = []
  const settle: Settle = new Settle({
    settleMs: 500,
    longestMs: 2000,
    timers,
    onDue: () => {
      for (const entry of settle.takeDue(1)) {
        if (settle.isOverdue(entry)) overdueAt.push(timers.now())
        else settle.again(entry, fingerprint(timers.now()))
      }
    },
  })
  settle.push(hint('a'), () => 1)
  timers.advance(10_000)
  assert.deepEqual(overdueAt, [2000])
})

test('a hint for a path that is being dealt with is kept when the path is put back', () => {
  const { timers, settle, push } = setUp(0)
  push(hint('a', fingerprint(1)))
  const [entry] = settle.takeDue(1)
  assert.ok(entry)
  push(hint('a', fingerprint(2)))
  settle.again(entry, fingerprint(1))
  assert.equal(settle.size, 1)
  timers.advance(0)
  const [merged] = [...settle.waiting()]
  assert.equal(merged, undefined)
})

test('both tickets of a merged path are there to be ended', () => {
  const { settle, push } = setUp(0)
  push(hint('a'))
  const [entry] = settle.takeDue(1)
  assert.ok(entry)
  push(hint('a', fingerprint(2)))
  settle.again(entry, null)
  const [merged] = settle.takeDue(1)
  assert.deepEqual(merged?.tickets.toSorted(), [1, 2])
  assert.deepEqual(merged?.seen, fingerprint(2))
})

test('what is seen to change while running is not told as changed before', () => {
  const { settle, push } = setUp(0)
  const found = { ...hint('a'), origin: 'offline', isEvent: false } as const
  push(found)
  push({ ...found, origin: 'disk' })
  assert.deepEqual(
    [...settle.waiting()].map(({ origin }) => origin),
    ['offline'],
  )
  push(hint('a'))
  assert.deepEqual(
    [...settle.waiting()].map(({ origin }) => origin),
    ['disk'],
  )
})

test('what is due is taken in the order in which it was due, as many as asked for', () => {
  const timers = new FakeTimers()
  const settle = new Settle({ settleMs: 500, longestMs: 60_000, timers, onDue: () => {} })
  for (const name of ['a', 'b', 'c', 'd']) settle.push(hint(name), () => 1)
  timers.advance(100)
  settle.push(hint('a'), () => 1)
  settle.delay('b' as FilePath)
  timers.advance(400)
  assert.deepEqual(
    settle.takeDue(1).map(({ path }) => path),
    ['c'],
  )
  assert.deepEqual(
    settle.takeDue(9).map(({ path }) => path),
    ['d'],
  )
  timers.advance(100)
  assert.deepEqual(
    settle.takeDue(9).map(({ path }) => path),
    ['a', 'b'],
  )
})

test('nothing is due after disposal', () => {
  const { timers, taken, settle, push } = setUp()
  push(hint('a'))
  settle[Symbol.dispose]()
  push(hint('b'))
  timers.advance(10_000)
  assert.deepEqual(taken, [])
})
