import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContentValidator } from '../../src/files/content-validator.ts'
import type { FileChange } from '../../src/files/file-change.ts'
import { MemoryFileIndex } from '../../src/files/index/memory-file-index.ts'
import { PathLocks } from '../../src/files/path-locks.ts'
import { Reconciler, type ReconcilerDeps } from '../../src/files/watch/reconciler.ts'
import type { HintOrigin } from '../../src/files/watch/settle.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { FakeDisk, sha256 } from './fake-disk.ts'
import { FakeTimers } from './fake-timers.ts'
import { MemoryTeller } from './support-index.ts'
import { RecordedLog } from './watch-log.ts'

const SETTLE_MS = 500

function path(text: string): FilePath {
  return text as FilePath
}

/** Lets what is ready to go on go on. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

function setUp(options: Partial<ReconcilerDeps> & { longestSettleMs?: number } = {}) {
  const disk = new FakeDisk()
  const teller = new MemoryTeller()
  const index = new MemoryFileIndex(teller.tell)
  const locks = new PathLocks()
  const timers = new FakeTimers()
  const log = new RecordedLog()
  const directories: string[] = []
  const { longestSettleMs, ...deps } = options
  const reconciler = new Reconciler(
    { settleMs: SETTLE_MS, ...(longestSettleMs !== undefined && { longestSettleMs }) },
    {
      index,
      locks,
      timers,
      log,
      content: disk,
      validators: [],
      isOnline: async () => true,
      onDirectory: (directory) => directories.push(directory),
      ...deps,
    },
  )
  /** Hints at paths as they are now. */
  const hint = (names: readonly string[], origin: HintOrigin = 'disk') => {
    for (const name of names) {
      reconciler.hint({
        path: path(name),
        origin,
        isEvent: origin === 'disk',
        seen: disk.seen(name),
      })
    }
  }
  /** Lets time pass until all that was hinted at is dealt with. */
  const settle = async () => {
    let isIdle = false
    const idle = reconciler.idle().then(() => {
      isIdle = true
    })
    for (let rounds = 0; !isIdle; rounds += 1) {
      assert.ok(rounds < 1000, 'it does not come to rest')
      timers.advance(SETTLE_MS)
      await turns(20)
    }
    await idle
  }
  /** What was told since the last time. */
  const told = () => teller.changes.splice(0)
  const words = () => told().map(({ type, path: of }) => `${type.slice(5)} ${of}`)
  /** Writes files, by name, of which all is told before the test goes on. */
  const seed = async (texts: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(texts)) disk.write(name, text)
    hint(Object.keys(texts))
    await settle()
    told()
  }
  return {
    ...{ disk, index, locks, timers, log, directories, reconciler },
    ...{ hint, settle, seed, told, words },
  }
}

test('a new, a changed and a deleted file are each told once', async () => {
  const { disk, hint, settle, told, words } = setUp()
  disk.write('a', 'one')
  hint(['a', 'a', 'a'])
  await settle()
  const [created, ...rest] = told()
  assert.deepEqual(rest, [])
  assert.deepEqual(created, {
    type: 'FILE CREATED',
    path: 'a',
    size: 3,
    sha256: sha256('one'),
    etag: `"sha256-${Buffer.from(sha256('one'), 'hex').toString('base64url')}"`,
    modified: '1970-01-01T00:00:00.001Z',
    origin: 'disk',
  } satisfies FileChange | object)
  disk.write('a', 'three')
  hint(['a'])
  await settle()
  disk.remove('a')
  hint(['a'])
  await settle()
  hint(['a'])
  await settle()
  assert.deepEqual(words(), ['UPDATED a', 'DELETED a'])
})

test('nothing is told before the file was quiet for the settle time', async () => {
  const { disk, timers, hint, settle, words, reconciler } = setUp()
  for (let i = 0; i < 5; i += 1) {
    disk.write('a', 'x'.repeat(i))
    hint(['a'])
    timers.advance(SETTLE_MS - 1)
    await turns(20)
  }
  assert.equal(reconciler.pending, 1)
  assert.deepEqual(words(), [])
  await settle()
  assert.deepEqual(words(), ['CREATED a'])
})

test('a file that moves without an event is waited for all the same', async () => {
  const { disk, timers, hint, settle, told } = setUp()
  disk.write('a', 'one')
  hint(['a'])
  disk.write('a', 'two')
  timers.advance(SETTLE_MS)
  await turns(20)
  assert.deepEqual(told(), [])
  await settle()
  assert.deepEqual(
    told().map(({ sha256: of }) => of),
    [sha256('two')],
  )
})

test('a file that is written to while it is read is read again', async () => {
  const { disk, hint, settle, told } = setUp()
  let writes = 3
  disk.whileHashing = () => {
    if (writes-- > 0) disk.write('a', `${writes}`)
  }
  disk.write('a', 'one')
  hint(['a'])
  await settle()
  assert.equal(disk.hashed.length, 4)
  assert.deepEqual(
    told().map(({ sha256: of }) => of),
    [sha256('0')],
  )
})

test('a file that never rests is told after the longest wait, and its last state later', async () => {
  const { disk, hint, settle, told, log, timers } = setUp({ longestSettleMs: 5000 })
  let isBusy = true
  disk.write('a', 'start')
  disk.whileHashing = () => {
    if (isBusy) disk.write('a', `at ${timers.now()}`)
  }
  hint(['a'])
  await settle()
  assert.equal(told().length, 1)
  assert.deepEqual(log.of('warn'), ['told a file that is still written to'])
  isBusy = false
  await settle()
  assert.deepEqual(
    told().map(({ type, sha256: of }) => [type, of]),
    [['FILE UPDATED', sha256(disk.files.get('a')?.text ?? '')]],
  )
})

test('a touch and the same content in a new file refresh the index in silence', async () => {
  const { disk, index, hint, settle, seed, told } = setUp()
  await seed({ a: 'one' })
  for (const change of [() => disk.touch('a'), () => disk.replace('a', 'one')]) {
    change()
    hint(['a'])
    await settle()
    assert.deepEqual((await index.get(path('a')))?.fingerprint, disk.seen('a'))
  }
  assert.deepEqual(told(), [])
})

test('what an upload has told is not told again', async () => {
  const { disk, index, locks, hint, settle, words } = setUp()
  await locks.hold('a', async () => {
    disk.write('a', 'uploaded')
    hint(['a'])
    const settling = settle()
    // Long enough for everything that would not wait for the lock.
    await turns(100)
    const fingerprint = disk.seen('a')
    assert.ok(fingerprint)
    await index.apply({
      put: [{ path: path('a'), fingerprint, sha256: sha256('uploaded') }],
      changes: [],
    })
    return { settling }
  })
  await settle()
  assert.deepEqual(words(), [])
})

test('an edit is told under the lock that an upload holds, settled or not', async () => {
  const { disk, locks, reconciler, hint, settle, words } = setUp()
  disk.write('a', 'by hand')
  hint(['a'])
  await locks.hold('a', () => reconciler.reconcile(path('a')))
  assert.deepEqual(words(), ['CREATED a'])
  disk.remove('a')
  await locks.hold('a', () => reconciler.reconcile(path('a')))
  assert.deepEqual(words(), ['DELETED a'])
  await settle()
  assert.deepEqual(words(), [])
})

test('a rename is told as a deletion and a creation that name each other', async () => {
  const { disk, hint, settle, seed, told } = setUp()
  await seed({ old: 'text' })
  disk.move('old', 'new')
  hint(['old', 'new'])
  await settle()
  const changes = told()
  assert.deepEqual(
    changes.map(({ type, path: of, movedFrom, movedTo }) => ({
      type,
      path: of,
      movedFrom,
      movedTo,
    })),
    [
      { type: 'FILE DELETED', path: 'old', movedFrom: undefined, movedTo: 'new' },
      { type: 'FILE CREATED', path: 'new', movedFrom: 'old', movedTo: undefined },
    ],
  )
})

test('a rename over another file is a deletion and an update', async () => {
  const { disk, hint, settle, seed, words } = setUp()
  await seed({ new: 'next', name: 'before' })
  disk.move('new', 'name')
  hint(['new', 'name'])
  await settle()
  assert.deepEqual(words(), ['DELETED new', 'UPDATED name'])
})

test('the ends of a rename wait for each other when one is hinted at later', async () => {
  const { disk, timers, hint, settle, seed, told } = setUp()
  const names = Array.from({ length: 300 }, (_, i) => `f${i}`)
  await seed(Object.fromEntries(names.map((name) => [`old/${name}`, name])))
  for (const name of names) disk.move(`old/${name}`, `new/${name}`)
  hint(names.map((name) => `old/${name}`))
  timers.advance(SETTLE_MS - 1)
  hint(names.map((name) => `new/${name}`))
  timers.advance(1)
  await turns(50)
  await settle()
  const changes = told()
  assert.equal(changes.length, 600)
  for (const change of changes) {
    assert.equal(change.movedTo ?? change.movedFrom, other(change.path))
  }
  function other(of: string) {
    return of.startsWith('old/') ? of.replace('old', 'new') : of.replace('new', 'old')
  }
})

test('an inode that is used again with another content is no rename', async () => {
  const { disk, hint, settle, seed, told } = setUp()
  await seed({ old: 'text' })
  disk.move('old', 'new')
  disk.write('new', 'TEXT')
  hint(['old', 'new'])
  await settle()
  const changes = told()
  assert.deepEqual(changes.map(({ type }) => type).toSorted(), ['FILE CREATED', 'FILE DELETED'])
  assert.ok(
    changes.every(({ movedFrom, movedTo }) => movedFrom === undefined && movedTo === undefined),
  )
})

test('content that a validator refuses is told once and not indexed', async () => {
  const seen: string[] = []
  const validator: ContentValidator = {
    matches: (of) => of === 'users.xml',
    validate: async (content, { confirmShrink }) => {
      const text = String(await content.bytes())
      seen.push(`${text} ${confirmShrink}`)
      return text.startsWith('bad') ? [{ message: 'not well formed', line: 1 }] : []
    },
  }
  const { disk, index, hint, settle, told, words } = setUp({ validators: [validator] })
  disk.write('users.xml', 'bad 1')
  hint(['users.xml'])
  await settle()
  const [rejected, ...rest] = told()
  assert.deepEqual(rest, [])
  assert.equal(rejected?.type, 'FILE REJECTED')
  assert.deepEqual(rejected?.errors, [{ message: 'not well formed', line: 1 }])
  assert.equal(rejected?.sha256, sha256('bad 1'))
  assert.equal(await index.get(path('users.xml')), undefined)
  hint(['users.xml'])
  await settle()
  disk.touch('users.xml')
  hint(['users.xml'])
  await settle()
  assert.deepEqual(words(), [])
  disk.write('users.xml', 'good')
  hint(['users.xml'])
  await settle()
  disk.write('users.xml', 'bad 1')
  hint(['users.xml'])
  await settle()
  assert.deepEqual(words(), ['CREATED users.xml', 'REJECTED users.xml'])
  assert.equal((await index.get(path('users.xml')))?.sha256, sha256('good'))
  assert.ok(seen.includes('good true'))
})

test('a path that cannot be read or told does not stop the others', async () => {
  const { disk, hint, settle, words, log } = setUp()
  disk.whileHashing = (of) => {
    if (of === 'b') throw new Error('read failed')
  }
  for (const name of ['a', 'b', 'c']) disk.write(name, name)
  hint(['a', 'b', 'c'])
  await settle()
  assert.deepEqual(words(), ['CREATED a', 'CREATED c'])
  assert.deepEqual(log.of('error'), ['a path could not be told'])
})

test('a rename of a file that cannot be read still tells the deletion', async () => {
  const { disk, hint, settle, seed, words } = setUp()
  await seed({ a: 'text' })
  disk.whileHashing = () => {
    throw new Error('read failed')
  }
  disk.move('a', 'b')
  hint(['a', 'b'])
  await settle()
  assert.deepEqual(words(), ['DELETED a'])
})

test('nothing is told of an offline volume', async () => {
  let isOnline = true
  const { disk, reconciler, hint, settle, seed, words } = setUp({
    isOnline: async () => isOnline,
  })
  await seed({ a: 'one' })
  isOnline = false
  disk.remove('a')
  disk.write('b', 'of the mount point')
  hint(['a', 'b'])
  await settle()
  await reconciler.reconcile(path('a'))
  assert.deepEqual(words(), [])
})

test('a file that is back when the volume is back was never deleted', async () => {
  const { disk, hint, settle, seed, words, index } = setUp({
    isOnline: async () => {
      // Mounted again between the look and the question.
      if (disk.files.size === 0) disk.write('a', 'one')
      return true
    },
  })
  await seed({ a: 'one' })
  disk.remove('a')
  hint(['a'])
  await settle()
  assert.deepEqual(words(), [])
  assert.ok(await index.get(path('a')))
})

test('the first index records and tells nothing', async () => {
  const { disk, index, hint, settle, words } = setUp()
  disk.write('a', 'one')
  hint(['a'], 'silent')
  await settle()
  assert.deepEqual(words(), [])
  assert.equal((await index.get(path('a')))?.sha256, sha256('one'))
})

test('what changed before the start is told as offline', async () => {
  const { disk, hint, settle, told } = setUp()
  disk.write('a', 'one')
  hint(['a'], 'offline')
  await settle()
  assert.deepEqual(
    told().map(({ origin }) => origin),
    ['offline'],
  )
})

test('a new hard link of somebody else is not told; one to a told file changes nothing', async () => {
  const { disk, hint, settle, words } = setUp()
  disk.write('a', 'one')
  hint(['a'])
  await settle()
  assert.deepEqual(words(), ['CREATED a'])
  disk.write('b', 'secret')
  disk.share('b')
  disk.share('a')
  hint(['a', 'b'])
  await settle()
  assert.deepEqual(words(), [])
  disk.share('b', false)
  hint(['b'])
  await settle()
  assert.deepEqual(words(), ['CREATED b'])
  disk.replace('a', 'another')
  disk.share('a')
  hint(['a'])
  await settle()
  assert.deepEqual(words(), ['DELETED a'])
})

test('a path with files below in the index turns out to have been a directory', async () => {
  const { disk, hint, settle, directories } = setUp()
  disk.write('d/a', 'one')
  hint(['d/a'])
  await settle()
  disk.remove('d/a')
  hint(['d', 'e'])
  await settle()
  // Asked at once and again when it has settled.
  assert.deepEqual([...new Set(directories)], ['d'])
})

test('a large file does not hold up the others', async () => {
  const { disk, hint, settle, words, timers } = setUp()
  const finished = Promise.withResolvers<void>()
  disk.whileHashing = (of) => (of === 'large' ? finished.promise : undefined)
  disk.write('large', 'x')
  hint(['large'])
  timers.advance(SETTLE_MS)
  for (let i = 0; i < 20; i += 1) {
    disk.write(`small${i}`, 'y')
    hint([`small${i}`])
  }
  for (let i = 0; i < 100; i += 1) {
    timers.advance(SETTLE_MS)
    await turns(1)
  }
  assert.equal(words().length, 20)
  finished.resolve()
  await settle()
  assert.deepEqual(words(), ['CREATED large'])
})

test('close finishes what is being told and tells a barrier that it will not be reached', async () => {
  const { disk, timers, reconciler, hint, words } = setUp()
  const reading = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  disk.whileHashing = () => {
    reading.resolve()
    return go.promise
  }
  disk.write('a', 'one')
  hint(['a'])
  timers.advance(SETTLE_MS)
  await reading.promise
  disk.write('b', 'two')
  hint(['b'])
  const idle = assert.rejects(reconciler.idle(), { code: 'UNAVAILABLE' })
  const closed = reconciler.close()
  assert.equal(reconciler.close(), closed)
  go.resolve()
  await closed
  await idle
  assert.deepEqual(words(), ['CREATED a'])
  hint(['b'])
  assert.equal(reconciler.pending, 0)
})
