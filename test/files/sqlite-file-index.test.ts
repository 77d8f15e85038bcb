import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileIndexContract, pathOf } from '../contract/file-index.ts'
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
