import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ChokidarDirectories } from '../../src/files/watch/watch-directories.ts'

/** Real watches below a directory of the test alone. */
async function setUp() {
  const root = await mkdtemp(join(tmpdir(), 'broker-'))
  const seen: string[] = []
  const errors: Error[] = []
  const lost: string[] = []
  let onEvent = () => {}
  const watches = new ChokidarDirectories({
    onEvent: (directory, name) => {
      seen.push(`${directory.slice(root.length)}/${name}`)
      onEvent()
    },
    onLost: (directory) => lost.push(directory.slice(root.length)),
    onError: (error) => errors.push(error),
  })
  return {
    root,
    seen,
    lost,
    errors,
    watches,
    /** Resolves when there was an event of `name`. */
    async sees(name: string): Promise<void> {
      while (!seen.includes(name)) {
        await new Promise<void>((resolve) => {
          onEvent = resolve
        })
      }
    },
    async [Symbol.asyncDispose]() {
      await watches[Symbol.asyncDispose]()
      await rm(root, { recursive: true })
      assert.deepEqual(errors, [])
    },
  }
}

test('a watched directory reports what is created, written, renamed and deleted in it', async () => {
  await using subject = await setUp()
  const { root, watches, seen } = subject
  await writeFile(join(root, 'a'), '1')
  assert.equal((await watches.add([root])).size, 0)
  for (const change of [
    () => appendFile(join(root, 'a'), '2'),
    () => writeFile(join(root, 'b'), '1'),
    () => renameSync(join(root, 'b'), join(root, 'c')),
    () => rmSync(join(root, 'a')),
    () => mkdirSync(join(root, 'd')),
  ]) {
    seen.length = 0
    await change()
    const [name] =
      String(change)
        .match(/'([abcd])'/)
        ?.slice(1) ?? []
    await subject.sees(`/${name}`)
  }
})

test('what happens once add has resolved is seen, a hundred times of a hundred', async () => {
  await using subject = await setUp()
  const { root, watches } = subject
  for (let i = 0; i < 100; i += 1) {
    const directory = join(root, `d${i}`)
    mkdirSync(directory)
    await watches.add([directory])
    writeFileSync(join(directory, 'f'), '')
    await subject.sees(`/d${i}/f`)
  }
})

test('parents and children of one addition are each watched when it resolves', async () => {
  await using subject = await setUp()
  const { root, watches } = subject
  const all = [root]
  for (let i = 0; i < 12; i += 1) all.push(join(all.at(-1) ?? root, 'd'))
  await mkdir(all.at(-1) ?? root, { recursive: true })
  await watches.add(all.toReversed())
  for (const directory of all) writeFileSync(join(directory, 'f'), '')
  for (const directory of all) await subject.sees(`${directory.slice(root.length)}/f`)
})

test('what is removed is not reported any more, and its neighbours still are', async () => {
  await using subject = await setUp()
  const { root, watches, seen } = subject
  const all = Array.from({ length: 40 }, (_, i) => join(root, `d${i}`))
  for (const directory of all) mkdirSync(directory)
  await watches.add(all)
  watches.remove(all.slice(0, 30))
  for (const directory of all) writeFileSync(join(directory, 'f'), '')
  for (const directory of all.slice(30)) await subject.sees(`${directory.slice(root.length)}/f`)
  assert.ok(!seen.some((name) => name.startsWith('/d0/')))
})

test('a directory that is deleted and made again is watched when it is added again', async () => {
  await using subject = await setUp()
  const { root, watches } = subject
  const directory = join(root, 'd')
  await mkdir(directory)
  await watches.add([root, directory])
  for (let i = 0; i < 20; i += 1) {
    rmSync(directory, { recursive: true })
    mkdirSync(directory)
    watches.remove([directory])
    await watches.add([directory])
    writeFileSync(join(directory, `f${i}`), '')
    await subject.sees(`/d/f${i}`)
  }
})

test('a directory that is not there does not hold up the others', async () => {
  await using subject = await setUp()
  const { root, watches } = subject
  await watches.add([join(root, 'none'), root])
  watches.remove([join(root, 'none')])
  writeFileSync(join(root, 'f'), '')
  await subject.sees('/f')
})

test('directories that come and go leave the others watched', async () => {
  await using subject = await setUp()
  const { root, watches } = subject
  const kept = Array.from({ length: 5 }, (_, i) => join(root, `kept${i}`))
  for (const directory of kept) mkdirSync(directory)
  await watches.add([root, ...kept])
  for (let i = 0; i < 50; i += 1) {
    const some = Array.from({ length: 12 }, (_, d) => join(root, `gone${i % 7}/${d}`))
    for (const directory of some) mkdirSync(directory, { recursive: true })
    await watches.add([join(root, `gone${i % 7}`), ...some])
    rmSync(join(root, `gone${i % 7}`), { recursive: true })
    watches.remove([...some, join(root, `gone${i % 7}`)])
    for (const [k, directory] of kept.entries()) {
      writeFileSync(join(directory, `f${i}`), '')
      await subject.sees(`/kept${k}/f${i}`)
    }
  }
})

test('a directory that is touched, moved or deleted is lost at once, and no other', async () => {
  await using subject = await setUp()
  const { root, watches, lost } = subject
  const directory = join(root, 'd')
  for (const change of [
    () => utimesSync(directory, 1, 1),
    () => renameSync(directory, join(root, 'e')),
    () => rmSync(directory, { recursive: true }),
  ]) {
    mkdirSync(directory, { recursive: true })
    await watches.add([root, directory])
    change()
    writeFileSync(join(root, 'f'), '')
    await subject.sees('/f')
    assert.deepEqual(lost, ['/d'])
    lost.length = 0
    subject.seen.length = 0
    watches.remove([root])
  }
})

test('what went before it could be watched is not said to be watched', async () => {
  await using subject = await setUp()
  const failures = await subject.watches.add([subject.root, join(subject.root, 'none')])
  assert.deepEqual([...failures], [[join(subject.root, 'none'), 'ENOENT']])
})
