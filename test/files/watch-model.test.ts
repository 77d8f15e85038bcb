import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileChange } from '../../src/files/file-change.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { WatchedVolume } from './watched-volume.ts'

/** One thing that somebody does to the disk; it may fail, as theirs do. */
type Operation = (root: string) => void

const names = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'd/e/a', 'd/e/f/a', 'g', 'g/a', 'g/b', 'g.x']
const anyPath = fc.constantFrom(...names)
const anyText = fc.constantFrom('', 'x', 'y', 'zz', 'long '.repeat(50))

const operation: fc.Arbitrary<Operation> = fc.oneof(
  written('create', (file, text) => writeFileSync(file, text)),
  written('append', (file, text) => appendFileSync(file, text)),
  written('make directories and write', (file, text) => {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }),
  written('replace', (file, text) => {
    writeFileSync(join(dirname(file), '.new'), text)
    renameSync(join(dirname(file), '.new'), file)
  }),
  written('delete and make again', (file, text) => {
    rmSync(file)
    writeFileSync(file, text)
  }),
  touching('truncate', (file) => truncateSync(file, 1)),
  touching('chmod', (file) => chmodSync(file, 0o640)),
  touching('utimes', (file) => utimesSync(file, 1, 1)),
  touching('remove', (file) => rmSync(file, { recursive: true })),
  touching('make a directory', (file) => mkdirSync(file, { recursive: true })),
  touching('move out', (file) => renameSync(file, join(dirname(dirname(file)), '~out'))),
  between('move', (from, to) => renameSync(from, to)),
  between('hard link', (from, to) => linkSync(from, to)),
  between('symbolic link', (from, to) => symlinkSync(from, to)),
)

function named(name: string, run: Operation): Operation {
  return Object.assign(run, { toString: () => name })
}

function written(name: string, run: (file: string, text: string) => void) {
  return fc
    .tuple(anyPath, anyText)
    .map(([path, text]) => named(`${name} ${path}`, (root) => run(join(root, path), text)))
}

function touching(name: string, run: (file: string) => void) {
  return anyPath.map((path) => named(`${name} ${path}`, (root) => run(join(root, path))))
}

function between(name: string, run: (from: string, to: string) => void) {
  return fc
    .tuple(anyPath, anyPath)
    .map(([a, b]) => named(`${name} ${a} ${b}`, (root) => run(join(root, a), join(root, b))))
}

/** What happens between two moments of rest. */
interface Round {
  /** `offline`: while nobody watches. `uploads`: these are uploaded meanwhile. */
  readonly while: 'watched' | 'offline' | 'uploads'
  readonly operations: readonly Operation[]
  readonly uploads: readonly (readonly [path: string, text: string])[]
}

const round: fc.Arbitrary<Round> = fc.record(
  {
    while: fc.constantFrom('watched', 'watched', 'offline', 'uploads'),
    operations: fc.array(operation, { minLength: 1, maxLength: 12 }),
    uploads: fc.array(fc.tuple(anyPath, anyText), { maxLength: 6 }),
  },
  { noNullPrototype: true },
)

/** What a subscriber makes of the changes, while it checks that none is idle or out of place. */
class Fold {
  readonly files = new Map<string, string>()

  take(changes: readonly FileChange[]): void {
    for (const { type, path, sha256, movedFrom, movedTo } of changes) {
      const before = this.files.get(path)
      if (type === 'FILE CREATED') assert.equal(before, undefined, `${path} is created twice`)
      else assert.notEqual(before, undefined, `${type} of ${path}, which is not there`)
      if (type === 'FILE DELETED') assert.equal(sha256, before)
      else assert.notEqual(sha256, before, `${path} did not change`)
      if (movedFrom !== undefined) assert.equal(this.files.has(movedFrom), false)
      if (movedTo !== undefined) assert.equal(type, 'FILE DELETED')
      if (type === 'FILE DELETED') this.files.delete(path)
      else this.files.set(path, sha256)
    }
  }
}

async function upload(subject: WatchedVolume, path: string, text: string): Promise<void> {
  try {
    const content = (async function* () {
      yield Buffer.from(text)
    })()
    const options = { digests: [], confirmShrink: false }
    await using staged = await subject.store.stage(path as FilePath, content, options)
    await subject.store.commit([{ staged, guard: () => {} }])
  } catch (error) {
    // Somebody else's directory or link may be in the way, or made on the way.
    if (!(error instanceof BrokerError)) throw error
  }
}

function operate(subject: WatchedVolume, operations: readonly Operation[]): void {
  for (const run of operations) {
    try {
      run(subject.root)
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error, String(error))
    }
  }
}

/** @param isLinked - a file may have several names: what is written by one is no event of the other */
async function play(
  subject: WatchedVolume,
  { while: how, operations, uploads }: Round,
  isLinked: boolean,
): Promise<void> {
  if (how === 'offline') {
    await subject.stop()
    operate(subject, operations)
    await subject.start()
  } else if (how === 'watched') operate(subject, operations)
  else {
    const half = Math.ceil(operations.length / 2)
    const running = uploads.map(([path, text]) => upload(subject, path, text))
    operate(subject, operations.slice(0, half))
    await new Promise((resolve) => setImmediate(resolve))
    operate(subject, operations.slice(half))
    await Promise.all(running)
  }
  await subject.watch.sync()
  if (isLinked) await subject.watch.rescan()
}

/** At rest, index, changes and disk say the same. */
async function check(subject: WatchedVolume, fold: Fold): Promise<void> {
  const entries = new Map((await subject.entries()).map((entry) => [entry.path as string, entry]))
  const disk = subject.onDisk()
  assert.deepEqual(
    new Map([...entries].map(([path, { sha256 }]) => [path, sha256])),
    new Map([...fold.files].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  )
  for (const [path, { sha256 }] of entries) assert.equal(disk.get(path)?.sha256, sha256, path)
  for (const [path, { isShared, sha256 }] of disk) {
    // A file with a hard link may be left out: it is told when its inode was known by this name.
    if (!isShared) assert.equal(fold.files.get(path), sha256, `${path} is not told`)
  }
  for (const { path, fingerprint } of entries.values()) {
    const { ino, ctimeNs } = lstatSync(join(subject.root, path), { bigint: true })
    // Making or removing a hard link is no event where the other name is.
    if (disk.get(path)?.isShared === false && ctimeNs === fingerprint.ctimeNs) {
      assert.equal(fingerprint.ino, ino)
    }
  }
}

test('whatever is done to a volume, its changes fold to what is on disk, each told once', async () => {
  const runs = process.env['SOAK'] === undefined ? 25 : 500
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 8 }), async (rounds) => {
      await using subject = await WatchedVolume.open()
      await subject.start({ isFirst: true })
      const fold = new Fold()
      let isLinked = false
      for (const next of rounds) {
        isLinked ||= next.operations.some((run) => String(run).startsWith('hard link'))
        const before = new Map(fold.files)
        await play(subject, next, isLinked)
        const changes = subject.told()
        fold.take(changes)
        await check(subject, fold)
        if (next.while === 'uploads') continue
        const differing = [...new Set([...before.keys(), ...fold.files.keys()])].filter(
          (path) => before.get(path) !== fold.files.get(path),
        )
        assert.deepEqual(changes.map(({ path }) => path as string).toSorted(), differing.toSorted())
        const origin = next.while === 'offline' ? 'offline' : 'disk'
        assert.deepEqual(
          [...new Set(changes.map((change) => change.origin))],
          changes.length === 0 ? [] : [origin],
        )
      }
      assert.deepEqual(subject.log.of('error'), [])
    }),
    { numRuns: runs },
  )
})
