import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database } from '../../src/database/database.ts'
import type { SqlValue } from '../../src/database/statement.ts'
import type { EventLog } from '../../src/events/log/event-log.ts'
import type { HistoryBudget } from '../../src/events/log/history-budget.ts'
import { SqliteEventLog } from '../../src/events/log/sqlite-event-log.ts'
import { eventsOf, sizesOf, trimming } from '../../src/events/log/sqlite-event-rows.ts'
import { testEventLog } from '../contract/event-log.ts'
import { dataOf, draft, filters, readAll } from '../support/events.ts'

const ROOMY: HistoryBudget = { events: 1000, bytes: 100_000_000, ageMs: 1_000_000_000 }

testEventLog('SqliteEventLog', {
  open: async ({ budget, now }) => {
    const database = await Database.open(':memory:')
    const log = await SqliteEventLog.open({ database, budget, now, newEpoch: 's1' })
    return closingToo(log, database)
  },
})

/** The log, whose close also closes its database. */
function closingToo(log: SqliteEventLog, database: Database): EventLog {
  const close = log.close.bind(log)
  log.close = async () => {
    await close()
    await database.close()
  }
  return log
}

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    await work(join(directory, 'broker.db'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function open(path: string, budget = ROOMY, newEpoch = 'e1') {
  const database = await Database.open(path)
  const log = await SqliteEventLog.open({ database, budget, newEpoch, now: () => 1000 })
  return closingToo(log, database)
}

/** The new log of a database that the test looks into itself. */
function logOf(database: Database, budget = ROOMY): Promise<SqliteEventLog> {
  return SqliteEventLog.open({ database, budget, newEpoch: 'e', now: Date.now })
}

test('a reopened log goes on with its epoch, its offsets and its events', () =>
  withFile(async (path) => {
    const before = await open(path)
    await before.append([draft('a', 1), draft('b', 2)])
    await before.close()
    await using log = await open(path, ROOMY, 'other')
    assert.equal(log.epoch, 'e1')
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1, 2])
    const [ack] = await log.append([draft('a', 3)])
    assert.equal(ack?.offset, 3)
    assert.deepEqual(dataOf(await readAll(log, 1, '**')), [2, 3])
  }))

test('a repeat is recognised after a restart', () =>
  withFile(async (path) => {
    const before = await open(path)
    const [first] = await before.append([draft('a', 1, { identity: 'x' })])
    await before.close()
    await using log = await open(path)
    const [again] = await log.append([draft('a', 1, { identity: 'x' })])
    assert.deepEqual(again, { ...first, duplicate: true })
  }))

test('offsets are not given again when everything was trimmed before a restart', () =>
  withFile(async (path) => {
    const before = await open(path, { ...ROOMY, events: 0 })
    await before.append([draft('a', 1), draft('a', 2)])
    await before.close()
    await using log = await open(path)
    assert.equal(log.head, 2)
    assert.deepEqual(log.lossAfter(0, filters('a')), { resumed: 2, through: 2 })
  }))

test('old events are read from the file in pages bounded by bytes', () =>
  withFile(async (path) => {
    const before = await open(path)
    const large = 'x'.repeat(1_000_000)
    for (let i = 0; i < 12; i += 1) await before.append([draft('a', `${i}${large}`)])
    await before.close()
    await using log = await open(path)
    const page = await log.read({ after: 0, filters: filters('a'), limit: 100 })
    assert.ok(page.events.length < 12)
    const all = await readAll(log, 0, 'a')
    assert.deepEqual(
      dataOf(all).map((data) => Number.parseInt(String(data), 10)),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    )
  }))

test('statements that come with events are committed with them or not at all', () =>
  withFile(async (path) => {
    await using database = await Database.open(path)
    await using log = await logOf(database)
    await database.commit([{ sql: 'CREATE TABLE t (x INTEGER PRIMARY KEY)', rows: [[]] }])
    const insertion = [{ sql: 'INSERT INTO t VALUES (?)', rows: [[1]] }]
    await log.appendWith([draft('files/a', 1)], insertion)
    await assert.rejects(log.appendWith([draft('files/a', 2)], insertion))
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1])
    const rows = await database.query('SELECT json FROM events')
    assert.equal(rows.length, 1)
  }))

test('what is appended while a commit is under way is one commit', () =>
  withFile(async (path) => {
    await using log = await open(path)
    const told: number[][] = []
    log.onCommit((events) => told.push(events.map(({ offset }) => offset)))
    const first = log.append([draft('a', 1)])
    // The database has taken it by then, and cannot answer before the next turn of the loop.
    for (let i = 0; i < 5; i += 1) await null
    const others = [log.append([draft('a', 2), draft('a', 3)]), log.append([draft('b', 4)])]
    const acks = await Promise.all([first, ...others])
    assert.deepEqual(told, [[1], [2, 3, 4]])
    assert.deepEqual(
      acks.map((each) => each.map(({ offset }) => offset)),
      [[1], [2, 3], [4]],
    )
  }))

test('appends of one commit that cannot be stored are all refused, and may be repeated', () =>
  withFile(async (path) => {
    await using database = await Database.open(path)
    await using log = await logOf(database)
    await database.commit([{ sql: 'ALTER TABLE events RENAME TO away', rows: [[]] }])
    const append = () =>
      Promise.allSettled([
        log.append([draft('a', 1, { identity: 'x' })]),
        log.append([draft('a', 2)]),
      ])
    const refused = await append()
    assert.deepEqual(
      refused.map(({ status }) => status),
      ['rejected', 'rejected'],
    )
    await database.commit([{ sql: 'ALTER TABLE away RENAME TO events', rows: [[]] }])
    const stored = await append()
    assert.deepEqual(
      stored.map((each) => each.status === 'fulfilled' && each.value[0]?.duplicate),
      [false, false],
    )
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1, 2])
  }))

test('a failed append does not harm those that share its transaction', () =>
  withFile(async (path) => {
    await using database = await Database.open(path)
    await using log = await logOf(database)
    const outcomes = await Promise.allSettled([
      log.append([draft('a', 1)]),
      log.appendWith(
        [draft('a', 2, { identity: 'x' })],
        [{ sql: 'INSERT INTO nowhere VALUES (1)', rows: [[]] }],
      ),
      log.append([draft('a', 3)]),
      log.append([draft('a', 2, { identity: 'x' })]),
    ])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
    )
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [1, 3])
    const [retried] = await log.append([draft('a', 2, { identity: 'x' })])
    assert.equal(retried?.duplicate, false)
  }))

test('a reopened log keeps what it kept and tells the same losses', () =>
  withFile(async (path) => {
    const budget = { ...ROOMY, events: 10 }
    const lossesOf = (log: EventLog) =>
      [0, 1, 5, 20, 40].map((after) => log.lossAfter(after, filters('**')))
    const before = await open(path, budget)
    await before.append([draft('a', 'old', { user: 'ann' }), draft('files/x', 'file')])
    for (let i = 0; i < 40; i += 1) await before.append([draft('a', i, { user: 'flooder' })])
    const [kept, losses] = [dataOf(await readAll(before, 0, '**')), lossesOf(before)]
    await before.close()
    await using log = await open(path, budget)
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), kept)
    assert.deepEqual(lossesOf(log), losses)
    assert.equal(kept[0], 'old')
  }))

test('a database of before histories had shares is taken over', () =>
  withFile(async (path) => {
    const before = await open(path)
    await before.append([draft('a', 1), draft('a', 2), draft('a', 3)])
    await before.close()
    const database = await Database.open(path)
    const old = [
      'DROP INDEX events_by_user',
      'CREATE INDEX events_by_family ON events (family, offset, size, time)',
      'DELETE FROM events WHERE offset = 1',
      "INSERT INTO log (name, value) VALUES ('trimmed.published', '1')",
    ]
    await database.commit(old.map((text) => ({ sql: text, rows: [[]] })))
    await database.close()
    await using log = await open(path)
    assert.deepEqual(dataOf(await readAll(log, 0, '**')), [2, 3])
    assert.deepEqual(log.lossAfter(0, filters('a')), { resumed: 1, through: 1 })
  }))

test('events that memory no longer holds are found by every kind of filter, page by page', () =>
  withFile(async (path) => {
    const topics = ['ci', 'ci/a', 'ci/a/b', 'ci0', 'cj/a', 'files/ci/a']
    const before = await open(path)
    for (let i = 0; i < 20; i += 1) await before.append(topics.map((topic) => draft(topic, topic)))
    await before.close()
    await using log = await open(path)
    const found = async (...texts: string[]) => dataOf(await readAll(log, 0, ...texts))
    const turns = (...round: string[]) => Array.from({ length: 20 }, () => round).flat()
    assert.deepEqual(await found('ci/**'), turns('ci', 'ci/a', 'ci/a/b'))
    assert.deepEqual(await found('*/a'), turns('ci/a', 'cj/a'))
    assert.deepEqual(await found('ci', 'files/**'), turns('ci', 'files/ci/a'))
    assert.deepEqual(await found('**'), turns(...topics))
    assert.deepEqual(await found('nothing'), [])
    const page = await log.read({ after: 0, filters: filters('ci0'), limit: 20 })
    assert.equal(page.events.length, 20)
    const last = await log.read({ after: page.through, filters: filters('ci0'), limit: 20 })
    assert.deepEqual(last, { events: [], through: log.head })
  }))

test('what is dropped leaves the database, whoever published it', async () => {
  await using database = await Database.open(':memory:')
  await using log = await logOf(database, { ...ROOMY, events: 10 })
  const users = ['ann', 'flooder', 'ben', 'flooder', 'flooder', 'cleo', 'dan', 'ann', 'eve']
  for (let i = 0; i < 90; i += 1) {
    const user = users[i % users.length] ?? 'ann'
    await log.append([draft(i % 7 ? 'a' : 'files/x', i, { user })])
    const rows = await database.query<{ offset: number }>(
      'SELECT offset FROM events ORDER BY offset',
    )
    const kept = await readAll(log, 0, '**')
    assert.deepEqual(
      rows.map(({ offset }) => offset),
      kept.map(({ offset }) => offset),
    )
  }
})

test('a read or a trim looks at the rows that it is about and sorts nothing', async () => {
  await using database = await Database.open(':memory:')
  await using _log = await logOf(database)
  const planOf = async (text: string, values: readonly SqlValue[]) => {
    const plan = await database.query<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, values)
    return plan.map(({ detail }) => detail).filter((detail) => !/json_each|LIST/.test(detail))
  }
  const range = 'SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)'
  assert.deepEqual(await planOf(...sizesOf({ after: 1 }, 9, 5)), [range])
  assert.deepEqual(await planOf(...eventsOf({ after: 1 }, 9)), [range])
  const each = 'SEARCH events USING INTEGER PRIMARY KEY (rowid=?)'
  assert.deepEqual(await planOf(...sizesOf({ offsets: [1, 2] }, 9, 5)), [each])
  assert.deepEqual(await planOf(...eventsOf({ offsets: [1, 2] }, 9)), [each])
  const dropped = [{ user: 'ann', first: 1, through: 9 }]
  const trimmed = { dropped, goneBefore: 0, goneThrough: 3, lostThrough: 9 }
  const [all, ofUser] = trimming({ family: 'published', ...trimmed })
  assert.deepEqual(await planOf(all?.sql ?? '', all?.rows[0] ?? []), [range])
  assert.deepEqual(await planOf(ofUser?.sql ?? '', ofUser?.rows[0] ?? []), [
    'SEARCH events USING INDEX events_by_user (user=? AND rowid>? AND rowid<?)',
  ])
})
