import assert from 'node:assert/strict'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { appendFile, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { StartWatch } from '../../src/files/watch/lasting-watcher.ts'
import { ChokidarDirectories } from '../../src/files/watch/watch-directories.ts'
import { startWatchThread } from '../../src/files/watch/watcher.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { sha256 } from './fake-disk.ts'
import { impatientTimers, WatchedVolume, watchHere } from './watched-volume.ts'

async function* contentOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function upload({ store }: WatchedVolume, path: string, text: string): Promise<void> {
  const options = { digests: [], confirmShrink: false }
  await using staged = await store.stage(path as FilePath, contentOf(text), options)
  await store.commit([{ staged, guard: () => {} }])
}

/** Watches here, but for directories that `fails` says the system has no watch for. */
function watchingBut(fails: (directory: string) => boolean): StartWatch {
  return watchHere({
    watch: (events) => {
      const real = new ChokidarDirectories(events)
      return {
        add: async (directories) => {
          const failures = directories.filter(fails)
          await real.add(directories.filter((directory) => !failures.includes(directory)))
          return new Map(failures.map((directory) => [directory, 'ENOSPC']))
        },
        remove: (directories) => real.remove(directories),
        [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
      }
    },
  })
}

test('changes on disk are told once they are synchronised', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  await writeFile(join(subject.root, 'a'), 'one')
  await mkdir(join(subject.root, 'd/e'), { recursive: true })
  await writeFile(join(subject.root, 'd/e/b'), 'two')
  await writeFile(join(subject.root, '.hidden'), 'x')
  await writeFile(join(subject.root, 'half.part'), 'x')
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED a', 'CREATED d/e/b'])
  await appendFile(join(subject.root, 'a'), ' more')
  await utimes(join(subject.root, 'd/e/b'), 1, 1)
  await watch.sync()
  const [change, ...rest] = subject.told()
  assert.deepEqual(rest, [])
  assert.equal(change?.sha256, sha256('one more'))
  assert.equal(change?.origin, 'disk')
  await rename(join(subject.root, 'd'), join(subject.root, 'moved'))
  await watch.sync()
  await rm(join(subject.root, 'a'))
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED moved/e/b', 'DELETED a', 'DELETED d/e/b'])
  assert.equal(watch.status.state, 'watching')
  assert.equal(watch.status.pending, 0)
})

test('an upload is told by the upload alone', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  for (let i = 0; i < 20; i += 1) await upload(subject, `d${i % 3}/f${i}`, `text ${i}`)
  await upload(subject, 'd0/f0', 'other')
  await watch.sync()
  const changes = subject.told()
  assert.equal(changes.length, 21)
  assert.ok(changes.every(({ origin }) => origin === 'upload'))
})

test('a file written right after its new directories is never missed', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  for (let i = 0; i < 100; i += 1) {
    const directory = join(subject.root, `r${i}/a/b`)
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'f'), String(i))
    // Every tenth one at a time, the others on top of each other.
    if (i % 10 === 0) await watch.sync()
  }
  await watch.sync()
  const words = Array.from({ length: 100 }, (_, i) => `CREATED r${i}/a/b/f`)
  assert.deepEqual(subject.words(), words.toSorted())
  for (let i = 0; i < 100; i += 1) rmSync(join(subject.root, `r${i}`), { recursive: true })
  await watch.sync()
  assert.deepEqual(
    subject.words(),
    words.map((word) => word.replace('CRE', 'DEL').replace('DELA', 'DELE')).toSorted(),
  )
  assert.equal(watch.status.rescans, 0)
})

test('a file written right after its directory is touched is never missed', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  for (let d = 0; d < 3; d += 1) mkdirSync(join(subject.root, `d${d}/e`), { recursive: true })
  await watch.sync()
  for (let i = 0; i < 100; i += 1) {
    const directory = join(subject.root, `d${i % 3}`)
    if (i % 2 === 0) utimesSync(directory, i, i)
    else chmodSync(directory, 0o700)
    writeFileSync(join(directory, `f${i}`), 'x')
    writeFileSync(join(directory, 'e', `f${i}`), 'x')
    await watch.sync()
    assert.equal(subject.words().length, 2)
  }
})

test('a directory that is moved away and back is still watched, with all in it', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  mkdirSync(join(subject.root, 'd/e/f'), { recursive: true })
  writeFileSync(join(subject.root, 'd/e/f/x'), 'x')
  await watch.sync()
  subject.words()
  for (let i = 0; i < 20; i += 1) {
    renameSync(join(subject.root, 'd'), join(subject.base, 'away'))
    if (i % 2 === 0) await watch.sync()
    renameSync(join(subject.base, 'away'), join(subject.root, 'd'))
    writeFileSync(join(subject.root, 'd/e/f/x'), `${i}`)
    await watch.sync()
    writeFileSync(join(subject.root, `d/e/f/${i}`), '')
    await watch.sync()
    const expected = i % 2 === 0 ? ['CREATED d/e/f/x', 'DELETED d/e/f/x'] : ['UPDATED d/e/f/x']
    const words = subject.words().filter((word) => word.endsWith('/x'))
    assert.deepEqual(words, expected)
    assert.ok(
      (await subject.entries()).some(({ path }) => path === `d/e/f/${i}`),
      `${i}`,
    )
  }
})

test('a flood that overflows the queue of a blocked thread ends with everything told', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start({ startWatch: watchHere() })
  for (let d = 0; d < 20; d += 1) mkdirSync(join(subject.root, `d${d}`))
  await watch.sync()
  // This thread is the one that watches: it sees nothing of what follows until it is over.
  for (let i = 0; i < 20_000; i += 1) writeFileSync(join(subject.root, `d${i % 20}`, `f${i}`), 'x')
  rmSync(join(subject.root, 'd0'), { recursive: true })
  mkdirSync(join(subject.root, 'late/deep'), { recursive: true })
  writeFileSync(join(subject.root, 'late/deep/f'), 'x')
  await watch.sync()
  assert.ok(watch.status.rescans > 0)
  const words = subject.words()
  assert.equal(new Set(words).size, words.length)
  assert.deepEqual(words, [...subject.onDisk().keys()].map((path) => `CREATED ${path}`).toSorted())
  assert.equal(words.length, 19_001)
  // The directories that came during the flood are watched.
  writeFileSync(join(subject.root, 'late/deep/g'), 'x')
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED late/deep/g'])
})

test('what changed while nobody watched is told once at the start, as offline', async () => {
  await using subject = await WatchedVolume.open()
  for (const name of ['same', 'touched', 'changed', 'deleted', 'old']) {
    await writeFile(join(subject.root, name), name)
  }
  await subject.start({ isFirst: true })
  assert.deepEqual(subject.words(), [])
  assert.equal((await subject.entries()).length, 5)
  await subject.stop()
  await utimes(join(subject.root, 'touched'), 1, 1)
  await writeFile(join(subject.root, 'changed'), 'CHANGED')
  await rm(join(subject.root, 'deleted'))
  await rename(join(subject.root, 'old'), join(subject.root, 'new'))
  await writeFile(join(subject.root, 'created'), 'x')
  await subject.start()
  const changes = subject.told()
  assert.deepEqual(
    changes.map(({ type, path, origin }) => `${type.slice(5)} ${path} ${origin}`).toSorted(),
    [
      'CREATED created offline',
      'CREATED new offline',
      'DELETED deleted offline',
      'DELETED old offline',
      'UPDATED changed offline',
    ],
  )
  assert.equal(changes.find(({ path }) => path === 'new')?.movedFrom, 'old')
  await subject.stop()
  await subject.start()
  assert.deepEqual(subject.words(), [])
})

test('of an unmounted volume nothing is told, and of one that is back only what changed', async () => {
  await using subject = await WatchedVolume.open()
  await writeFile(join(subject.root, 'a'), 'one')
  await writeFile(join(subject.root, 'b'), 'one')
  const added: string[] = []
  const startWatch = watchingBut((directory) => {
    added.push(directory)
    return false
  })
  const watch = await subject.start({ isFirst: true, startWatch })
  const away = join(subject.base, 'away')
  renameSync(subject.root, away)
  mkdirSync(subject.root)
  writeFileSync(join(subject.root, 'of-the-mount-point'), 'x')
  await assert.rejects(watch.sync(), { code: 'UNAVAILABLE' })
  assert.equal(watch.status.state, 'offline')
  await assert.rejects(watch.sync(), { code: 'UNAVAILABLE' })
  assert.deepEqual(subject.words(), [])
  rmSync(subject.root, { recursive: true })
  renameSync(away, subject.root)
  await writeFile(join(subject.root, 'b'), 'two')
  added.length = 0
  await watch.sync()
  assert.equal(watch.status.state, 'watching')
  assert.ok(added.includes(subject.root), 'an unmount ends every watch')
  assert.deepEqual(subject.words(), ['UPDATED b'])
  await writeFile(join(subject.root, 'c'), 'x')
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED c'])
})

test('a hard link to what is outside of the volume is left out until the other name is gone', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  const secret = join(subject.base, 'secret')
  writeFileSync(secret, 'x')
  linkSync(secret, join(subject.root, 'f'))
  await watch.sync()
  assert.deepEqual(subject.words(), [])
  assert.equal(watch.status.leftOut, 1)
  rmSync(secret)
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED f'])
  assert.equal(watch.status.leftOut, 0)
})

test('what is written by another name of a told file is found by a scan', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start()
  writeFileSync(join(subject.root, 'f'), 'x')
  await watch.sync()
  linkSync(join(subject.root, 'f'), join(subject.base, 'other'))
  writeFileSync(join(subject.base, 'other'), 'y')
  await watch.rescan()
  assert.deepEqual(subject.words(), ['CREATED f', 'UPDATED f'])
})

test('a volume that is offline at the start is waited for', async () => {
  await using subject = await WatchedVolume.open()
  await writeFile(join(subject.root, 'a'), 'one')
  const away = join(subject.base, 'away')
  renameSync(subject.root, away)
  const watch = subject.prepare({ timers: impatientTimers(20) })
  const started = watch.start()
  await assert.rejects(watch.sync(), { code: 'UNAVAILABLE' })
  renameSync(away, subject.root)
  await started
  assert.deepEqual(subject.words(), ['CREATED a'])
})

test('with directories that cannot be watched, scans find what changes there', async () => {
  await using subject = await WatchedVolume.open()
  for (let d = 0; d < 20; d += 1) mkdirSync(join(subject.root, `d${d}`))
  const failing = new Set<string>()
  for (let d = 0; d < 20; d += 1) failing.add(join(subject.root, `d${d}`))
  const startWatch = watchingBut((directory) => failing.has(directory))
  const watch = await subject.start({ startWatch })
  assert.equal(watch.status.state, 'degraded')
  assert.equal(watch.status.reason, 'ENOSPC')
  assert.ok(watch.status.coverage.unwatched > 0)
  writeFileSync(join(subject.root, 'd7/f'), 'x')
  writeFileSync(join(subject.root, 'd19/f'), 'x')
  await watch.sync()
  assert.deepEqual(
    subject
      .told()
      .map(({ path, origin }) => `${origin} ${path}`)
      .toSorted(),
    ['disk d19/f', 'disk d7/f'],
  )
  assert.equal(subject.log.of('error').length, 1)
  failing.clear()
  await watch.sync()
  assert.equal(watch.status.state, 'watching')
})

test('while degraded, changes are found without anybody asking', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start({ maxWatches: 0, timers: impatientTimers(20) })
  assert.equal(watch.status.state, 'degraded')
  writeFileSync(join(subject.root, 'f'), 'x')
  while (!subject.words().includes('CREATED f')) {
    await new Promise((resolve) => setImmediate(resolve))
  }
})

test('a watch thread that dies is replaced, and nothing is lost', async () => {
  await using subject = await WatchedVolume.open()
  mkdirSync(join(subject.root, 'd'))
  const threads: Worker[] = []
  const heaps: number[] = []
  const started = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const watch = await subject.start({
    timers: impatientTimers(20),
    startWatch: (settings, heapMb) => {
      const thread = startWatchThread(settings, heapMb)
      assert.ok(thread instanceof Worker)
      started[threads.length]?.resolve()
      threads.push(thread)
      heaps.push(heapMb)
      return thread
    },
  })
  await threads[0]?.terminate()
  writeFileSync(join(subject.root, 'd/f'), 'x')
  await started[1]?.promise
  await watch.sync()
  assert.deepEqual(subject.words(), ['CREATED d/f'])
  assert.deepEqual(heaps, [64, 128])
})

test('an edit on disk and an upload over it are told in that order', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start({ settleMs: 60_000 })
  await upload(subject, 'a', 'one')
  writeFileSync(join(subject.root, 'a'), 'by hand')
  await upload(subject, 'a', 'two')
  const changes = subject.told()
  assert.deepEqual(
    changes.map(({ type, origin, sha256: of }) => [type, origin, of]),
    [
      ['FILE CREATED', 'upload', sha256('one')],
      ['FILE UPDATED', 'disk', sha256('by hand')],
      ['FILE UPDATED', 'upload', sha256('two')],
    ],
  )
  await watch.close()
  await assert.rejects(watch.sync(), { code: 'UNAVAILABLE' })
})

test('closing is quick and complete at any moment of the start', async () => {
  await using subject = await WatchedVolume.open()
  for (let i = 0; i < 200; i += 1) writeFileSync(join(subject.root, `f${i}`), 'x')
  const watch = subject.prepare({ settleMs: 60_000 })
  const started = assert.rejects(watch.start(), { code: 'UNAVAILABLE' })
  await watch.close()
  await started
  const later = subject.prepare({ settleMs: 60_000 })
  const waits = assert.rejects(later.start(), { code: 'UNAVAILABLE' })
  while (later.status.state === 'starting') await new Promise((resolve) => setImmediate(resolve))
  await later.close()
  await waits
  assert.equal(later.status.state, 'closed')
})

test('a directory that is renamed in its place tells every file as moved', async () => {
  await using subject = await WatchedVolume.open()
  const watch = await subject.start({ settleMs: 100 })
  mkdirSync(join(subject.root, 'before/deep'), { recursive: true })
  for (const name of ['a', 'b', 'deep/c']) {
    writeFileSync(join(subject.root, 'before', name), name)
  }
  await watch.sync()
  subject.told()
  renameSync(join(subject.root, 'before'), join(subject.root, 'after'))
  await watch.sync()
  const moves = subject.told().map(({ type, path, movedFrom, movedTo }) => {
    return [type, path, movedFrom ?? movedTo].join(' ')
  })
  const expected = ['a', 'b', 'deep/c'].flatMap((name) => [
    `FILE CREATED after/${name} before/${name}`,
    `FILE DELETED before/${name} after/${name}`,
  ])
  assert.deepEqual(moves.toSorted(), expected.toSorted())
})
