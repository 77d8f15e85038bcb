import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Database } from '../../src/database/database.ts'
import { StorageHealth } from '../../src/gateway/storage-health.ts'

const silent = { error: () => {}, info: () => {} }
const full = { requests: 1, seconds: 0, failure: 'database or disk is full' }

test('a log that could not be written is asked again, and well when it can be', async () => {
  await using database = await Database.open(':memory:')
  const health = new StorageHealth(silent)
  assert.equal(await health.check(database), undefined)
  health.observe(full)
  assert.equal(await health.check(database), undefined)
})

test('a log that still cannot be written says why', async () => {
  const database = await Database.open(':memory:')
  const health = new StorageHealth(silent)
  health.observe(full)
  await database.close()
  assert.match((await health.check(database)) ?? '', /closed/)
})

test('a bad statement is no failure of the storage', async () => {
  await using database = await Database.open(':memory:')
  const health = new StorageHealth(silent)
  await assert.rejects(database.commit([{ sql: 'INSERT INTO nothing VALUES (1)', rows: [[]] }]))
  health.observe({ ...full, failure: 'no such table: nothing' })
  assert.equal(await health.check(database), undefined)
})

test('that the log cannot be written is logged once, and that it can be again', async () => {
  await using database = await Database.open(':memory:')
  const lines: unknown[] = []
  const health = new StorageHealth({
    error: (fields: object) => lines.push(fields),
    info: (fields: object) => lines.push(fields),
  })
  health.observe(full)
  health.observe(full)
  await health.check(database)
  assert.deepEqual(lines, [
    { event: 'log.failed', failure: 'database or disk is full' },
    { event: 'log.recovered' },
  ])
})
