import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { Database } from '../../src/database/database.ts'
import { type ComponentDeps, componentStates } from '../../src/gateway/component-states.ts'
import { ProxyTrust } from '../../src/gateway/proxy-trust.ts'
import { StorageHealth } from '../../src/gateway/storage-health.ts'

const WELL = { state: 'watching', pending: 0, leftOut: 0, rescans: 0 } as const
const COVERED = { watched: 3, unwatched: 0 }

/** A file system on which nothing is ever free. */
const FULL = '/proc'

function filesOf(changes: Partial<ComponentDeps['files']>): ComponentDeps['files'] {
  const watchStatus = () => ({ ...WELL, coverage: COVERED })
  return { watchStatus, hashFailures: () => 0, isRefused: async () => false, ...changes }
}

async function statesOf(database: Database, changes: Partial<ComponentDeps>) {
  const deps: ComponentDeps = {
    data: tmpdir(),
    volume: tmpdir(),
    reserveBytes: 0,
    users: import.meta.filename,
    database,
    storage: new StorageHealth({ error: () => {}, info: () => {} }),
    files: filesOf({}),
    workers: { counts: { wanted: 0, running: 0, ended: 0, connections: 0 } },
    front: new ProxyTrust({ proxy: 'nginx', isUnixSocket: false, secret: 'x' }),
    zmqEndpoints: 0,
    ...changes,
  }
  return componentStates(deps)
}

test('a watch that falls back to scans is told with its reason, and stops nothing', async () => {
  await using database = await Database.open(':memory:')
  const coverage = { watched: 3, unwatched: 2, reason: 'ENOSPC' }
  const status = { ...WELL, state: 'degraded', reason: 'ENOSPC', coverage } as const
  const files = filesOf({ watchStatus: () => status })
  const { watcher } = await statesOf(database, { files })
  assert.equal(watcher?.ready, true)
  assert.match(watcher.detail ?? '', /2 of 5 directories are not watched \(ENOSPC\)/)
})

test('a full disk under the state is not ready, one under the files only told', async () => {
  await using database = await Database.open(':memory:')
  const { disk, files } = await statesOf(database, { data: FULL, volume: FULL })
  assert.deepEqual(disk, { ready: false, detail: 'the disk is full' })
  assert.deepEqual(files, { ready: true, detail: 'the disk is full' })
})

test('a disk that has less than uploads must leave is told, and stops nothing', async () => {
  await using database = await Database.open(':memory:')
  const { disk, files } = await statesOf(database, { reserveBytes: 2 ** 52 })
  assert.deepEqual(disk, { ready: true })
  const detail = 'less than 4294967296 MiB are free: uploads are refused'
  assert.deepEqual(files, { ready: true, detail })
})

test('a users file that is refused, or gone, is told and stops nothing', async () => {
  await using database = await Database.open(':memory:')
  const refused = await statesOf(database, { files: filesOf({ isRefused: async () => true }) })
  assert.match(refused['users']?.detail ?? '', /was refused; the last good one holds/)
  const gone = await statesOf(database, { users: `${import.meta.filename}.gone` })
  assert.deepEqual(gone['users'], {
    ready: true,
    detail: 'there is no users file; the last good one holds',
  })
})

test('a database that has failed is not ready', async () => {
  const database = await Database.open(':memory:')
  await database.close()
  const { log } = await statesOf(database, {})
  assert.deepEqual(log, { ready: false, detail: 'the database has failed' })
})

test('workers and threads that are missing are told', async () => {
  await using database = await Database.open(':memory:')
  const { workers, hashing, front } = await statesOf(database, {
    workers: { counts: { wanted: 2, running: 1, ended: 1, connections: 0 } },
    files: filesOf({ hashFailures: () => 1 }),
  })
  assert.deepEqual(workers, { ready: true, detail: '1 of 2 run' })
  assert.deepEqual(hashing, { ready: true, detail: '1 failed, others follow' })
  assert.deepEqual(front, { ready: true, detail: 'nginx, no request came from it yet' })
})
