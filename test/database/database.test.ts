import assert from 'node:assert/strict'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Database } from '../../src/database/database.ts'
import { breakSyncOf, descriptorOf } from '../support/unsyncable.ts'

const CREATE = { sql: 'CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)', rows: [[]] }

function insert(...rows: [number, string][]) {
  return { sql: 'INSERT INTO t VALUES (?, ?)', rows }
}

test('commits are seen by queries that were asked for after them, without waiting', async () => {
  await using database = await Database.open(':memory:')
  const commits = [database.commit([CREATE]), database.commit([insert([1, 'a'], [2, 'b'])])]
  const rows = await database.query('SELECT x, y FROM t WHERE x > ?', [1])
  assert.deepEqual(
    rows.map((row) => ({ ...row })),
    [{ x: 2, y: 'b' }],
  )
  await Promise.all(commits)
})

test('a commit takes place whole or not at all, and alone when it is bad', async () => {
  await using database = await Database.open(':memory:')
  await database.commit([CREATE])
  const outcomes = await Promise.allSettled([
    database.commit([insert([1, 'a'])]),
    database.commit([insert([2, 'b']), insert([1, 'again'])]),
    database.commit([insert([3, 'c'])]),
  ])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  const rows = await database.query<{ x: number }>('SELECT x FROM t ORDER BY x')
  assert.deepEqual(
    rows.map(({ x }) => x),
    [1, 3],
  )
})

test('commits resolve in the order in which they were asked for', async () => {
  await using database = await Database.open(':memory:')
  await database.commit([CREATE])
  const order: number[] = []
  const commits = Array.from({ length: 200 }, async (_, i) => {
    await database.commit([insert([i, 'x'])])
    order.push(i)
  })
  await Promise.all(commits)
  assert.deepEqual(
    order,
    Array.from({ length: 200 }, (_, i) => i),
  )
})

test('a bad query is an error and the next one is answered', async () => {
  await using database = await Database.open(':memory:')
  await assert.rejects(database.query('SELECT nonsense'), /nonsense/)
  assert.equal((await database.query('SELECT 1')).length, 1)
})

test('what was asked for before close is done, what comes after is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const path = join(directory, 'x.db')
  const database = await Database.open(path)
  const commits = [database.commit([CREATE]), database.commit([insert([1, 'a'])])]
  await database.close()
  await Promise.all(commits)
  await assert.rejects(database.commit([insert([2, 'b'])]))
  await using again = await Database.open(path)
  assert.equal((await again.query('SELECT * FROM t')).length, 1)
  await rm(directory, { recursive: true })
})

test('a second broker over the same file is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  const path = join(directory, 'x.db')
  await using database = await Database.open(path)
  await database.commit([CREATE])
  await assert.rejects(Database.open(path), /in use by another process/)
  await rm(directory, { recursive: true })
})

test('copies are whole while commits go on, and a database is not closed under one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const database = await Database.open(join(directory, 'x.db'))
    const rows = Array.from({ length: 4000 }, (_, i) => [i, 'x'.repeat(4000)])
    await database.commit([CREATE, { ...insert([0, '']), rows }])
    for (let at = 0, next = rows.length; at < 10; at += 1) {
      const before = next
      let isCopied = false
      const copying = database.copyTo(join(directory, `${at}.db`)).finally(() => {
        isCopied = true
      })
      for (; !isCopied; next += 1) await database.commit([insert([next, 'y'])])
      await copying
      await using copy = await Database.open(join(directory, `${at}.db`))
      const [check] = await copy.query('PRAGMA quick_check')
      assert.equal(check?.['quick_check'], 'ok')
      assert.ok((await copy.query('SELECT 1 FROM t')).length >= before)
    }
    const last = database.copyTo(join(directory, 'last.db'))
    await database.close()
    await last
    await assert.rejects(database.copyTo(join(directory, 'late.db')), /closed/)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('when the disk cannot be synced, no commit is answered as durable, then or later', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const path = join(directory, 'x.db')
    await using database = await Database.open(path)
    await database.commit([CREATE])
    await breakSyncOf(`${path}-wal`)
    const commits = [1, 2].map((x) => database.commit([insert([x, 'a'])]))
    for (const { reason } of (await Promise.allSettled(commits)) as PromiseRejectedResult[]) {
      assert.match(String(reason), /could not be synced/)
    }
    await assert.rejects(database.commit([]), /could not be synced/)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('of a database behind a symbolic link the journal that SQLite writes is synced', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const [file, link] = [join(directory, 'x.db'), join(directory, 'link.db')]
    await symlink(file, link)
    await writeFile(`${link}-wal`, 'of before')
    await using database = await Database.open(link)
    await database.commit([CREATE])
    assert.ok(await descriptorOf(`${file}-wal`))
    await assert.rejects(descriptorOf(`${link}-wal`), /is not open/)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})

test('a database that cannot be synced while it is closed is left all the same', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const path = join(directory, 'x.db')
    const database = await Database.open(path)
    await database.commit([CREATE])
    await breakSyncOf(`${path}-wal`)
    // Each is a group: that to close is not yet sent when the first cannot be synced.
    const commits: Promise<unknown>[] = []
    for (const x of [1, 2, 3]) {
      commits.push(database.commit([insert([x, 'a'])]))
      await Promise.resolve()
    }
    const outcomes = await Promise.allSettled([...commits, database.close()])
    assert.ok(outcomes.every(({ status }) => status === 'rejected'))
    // Its threads are gone, which would keep the file and the process.
    await (await Database.open(path)).close()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
