import assert from 'node:assert/strict'
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { ChangeFold } from './change-fold.ts'
import { anyPath, anyText, type Operation, operate, operation } from './disk-operations.ts'
import { WatchedVolume } from './watched-volume.ts'

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

/** @param isLinked - a file may have several names: what is written by one is no event of the other */
async function play(
  subject: WatchedVolume,
  { while: how, operations, uploads }: Round,
  isLinked: boolean,
): Promise<void> {
  if (how === 'offline') {
    await subject.stop()
    operate(subject.root, operations)
    await subject.start()
  } else if (how === 'watched') operate(subject.root, operations)
  else {
    const half = Math.ceil(operations.length / 2)
    const running = uploads.map(([path, text]) => upload(subject, path, text))
    operate(subject.root, operations.slice(0, half))
    await new Promise((resolve) => setImmediate(resolve))
    operate(subject.root, operations.slice(half))
    await Promise.all(running)
  }
  await subject.watch.sync()
  if (isLinked) await subject.watch.rescan()
}

/** At rest, index, changes and disk say the same. */
async function check(subject: WatchedVolume, fold: ChangeFold): Promise<void> {
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
      const fold = new ChangeFold()
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
