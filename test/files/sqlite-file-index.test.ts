import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { Database } from '../../src/database/database.ts'
import {
  applyAll,
  assertUsageAddsUp,
  fileIndexContract,
  mutations,
  pathOf,
} from '../contract/file-index.ts'
import { openSqliteIndex } from './support-index.ts'

fileIndexContract('sqlite file index', () => openSqliteIndex())

test('the index is there again when the database is opened again', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const fingerprint = {
    dev: 1n,
    ino: 2n,
    size: 3,
    mtimeNs: 1_700_000_000_123_456_789n,
    ctimeNs: 5n,
  }
  const entry = { path: pathOf('a/b'), fingerprint, sha256: 'ab'.repeat(32) }
  const intent = { id: '1', batch: '1', path: entry.path, dev: 1n, ino: 2n, sha256: 'cd' }
  try {
    {
      await using first = await openSqliteIndex(join(directory, 'broker.db'))
      await first.index.apply({ put: [entry], changes: [] })
      await first.index.intend(intent)
    }
    await using second = await openSqliteIndex(join(directory, 'broker.db'))
    assert.deepEqual(await second.index.get(entry.path), entry)
    assert.deepEqual(await second.index.openIntents(), [intent])
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('sums are right after a restart, and go on being right', async () => {
  await fc.assert(
    fc.asyncProperty(mutations, mutations, async (first, second) => {
      const directory = await mkdtemp(join(tmpdir(), 'broker-'))
      try {
        for (const all of [first, second]) {
          await using subject = await openSqliteIndex(join(directory, 'broker.db'))
          await assertUsageAddsUp(subject.index)
          await applyAll(subject, all)
          await assertUsageAddsUp(subject.index)
        }
      } finally {
        await rm(directory, { recursive: true })
      }
    }),
    { numRuns: 10 },
  )
})

test('an index from before there were uploaders is taken over', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const file = join(directory, 'broker.db')
  const sqls = [
    `CREATE TABLE file_index (path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,
      sha256 TEXT NOT NULL) WITHOUT ROWID`,
    `CREATE TABLE upload_intent (id TEXT PRIMARY KEY, batch TEXT NOT NULL, path TEXT NOT NULL,
      dev TEXT NOT NULL, ino TEXT NOT NULL, sha256 TEXT NOT NULL) WITHOUT ROWID`,
    "INSERT INTO file_index VALUES ('a/b', '1:2:300:4:5', 'ab'), ('c', '1:3:4000:4:5', 'cd')",
  ]
  try {
    {
      await using database = await Database.open(file)
      await database.commit(sqls.map((sql) => ({ sql, rows: [[]] })))
    }
    await using subject = await openSqliteIndex(file)
    assert.equal(subject.index.usage.totalBytes, 4300)
    const known = await subject.index.get(pathOf('c'))
    assert.ok(known)
    await subject.index.apply({ put: [{ ...known, uploader: 'ann' }], changes: [] })
    assert.equal(subject.index.usage.bytesOf('ann'), 4000)
    await assertUsageAddsUp(subject.index)
  } finally {
    await rm(directory, { recursive: true })
  }
})
