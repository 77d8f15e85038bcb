import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Fingerprint } from '../../src/files/fingerprint.ts'
import { MemoryFileIndex } from '../../src/files/index/memory-file-index.ts'
import { comparePaths } from '../../src/files/path-order.ts'
import { packFingerprints, type TreeBatch } from '../../src/files/watch/tree-batch.ts'
import { diffTree } from '../../src/files/watch/tree-diff.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'

type Files = ReadonlyMap<string, number>

function fingerprint(version: number): Fingerprint {
  return { dev: 1n, ino: 1n, size: version, mtimeNs: 0n, ctimeNs: 0n }
}

async function* walkOf(
  files: Files,
  perBatch: number,
  unreadable: readonly string[],
): AsyncGenerator<TreeBatch, string> {
  const sorted = [...files].toSorted(([a], [b]) => comparePaths(a, b))
  yield { paths: [], numbers: packFingerprints([]), unreadable }
  for (let i = 0; i < sorted.length; i += perBatch) {
    const some = sorted.slice(i, i + perBatch)
    yield {
      paths: some.map(([path]) => path as FilePath),
      numbers: packFingerprints(some.map(([, version]) => fingerprint(version))),
      unreadable: [],
    }
  }
  return 'counts'
}

async function diff(
  disk: Files,
  known: Files,
  options: { directory?: string; unreadable?: string[]; owns?: (path: string) => boolean } = {},
) {
  const index = new MemoryFileIndex(async () => [])
  const put = [...known].map(([path, version]) => ({
    path: path as FilePath,
    fingerprint: fingerprint(version),
    sha256: '',
  }))
  await index.apply({ put, changes: [] })
  const hints = new Map<string, number | null>()
  const { directory = '', unreadable = [], owns = () => true } = options
  const result = await diffTree(directory, walkOf(disk, 3, unreadable), {
    index,
    owns,
    hint: (path, seen) => {
      assert.ok(!hints.has(path), `${path} is hinted at twice`)
      hints.set(path, seen?.size ?? null)
    },
    accepts: async () => {},
  })
  assert.equal(result, 'counts')
  return hints
}

test('exactly what differs is hinted at', async () => {
  const name = fc.constantFrom('a', 'a.b', 'a/b', 'ab', 'b/c/d', '\uff5e', '\u{1f600}', 'z')
  const files = fc.uniqueArray(fc.tuple(name, fc.nat(2)), { selector: ([path]) => path })
  await fc.assert(
    fc.asyncProperty(files, files, async (onDisk, inIndex) => {
      const [disk, known] = [new Map(onDisk), new Map(inIndex)]
      const expected = new Map(
        [...new Set([...disk.keys(), ...known.keys()])]
          .filter((path) => disk.get(path) !== known.get(path))
          .map((path) => [path, disk.get(path) ?? null]),
      )
      assert.deepEqual(await diff(disk, known), expected)
    }),
  )
})

test('an index of several pages is compared to its end', async () => {
  const all = Array.from({ length: 2500 }, (_, i) => [`f${i}`, 1] as const)
  const disk = new Map(all.filter((_, i) => i % 2 === 0))
  assert.equal((await diff(disk, new Map(all))).size, 1250)
  assert.equal((await diff(new Map(all), new Map(all))).size, 0)
  assert.equal((await diff(new Map(), new Map(all))).size, 2500)
})

test('a walk of a directory is compared with what is known below it and of its name', async () => {
  const known = new Map([
    ['a/x', 1],
    ['a', 1],
    ['a.b', 1],
    ['b', 1],
  ])
  const hints = await diff(new Map([['b/x', 1]]), known, { directory: 'b' })
  assert.deepEqual(
    [...hints],
    [
      ['b', null],
      ['b/x', 1],
    ],
  )
  const below = await diff(new Map(), known, { directory: 'a' })
  assert.deepEqual([...below.keys()].toSorted(), ['a', 'a/x'])
})

test('what is below a directory that could not be read is not missing', async () => {
  const known = new Map([
    ['closed/x', 1],
    ['closed.txt', 1],
    ['open/y', 1],
  ])
  const hints = await diff(new Map(), known, { unreadable: ['closed'] })
  assert.deepEqual([...hints.keys()], ['closed.txt', 'open/y'])
  assert.equal((await diff(new Map(), known, { unreadable: [''] })).size, 0)
})

test('what another volume has in the index is not missing here', async () => {
  const known = new Map([
    ['config/users.xml', 1],
    ['x', 1],
  ])
  const owns = (path: string) => !path.startsWith('config/')
  assert.deepEqual([...(await diff(new Map(), known, { owns })).keys()], ['x'])
})

test('a walk that fails hints at nothing as missing', async () => {
  const index = new MemoryFileIndex(async () => [])
  await index.apply({
    put: [{ path: 'x' as FilePath, fingerprint: fingerprint(1), sha256: '' }],
    changes: [],
  })
  const hints: string[] = []
  // biome-ignore lint/correctness/useYield: it fails before it has anything
  const failing = (async function* (): AsyncGenerator<TreeBatch, void> {
    throw new Error('the thread ended')
  })()
  const diffed = diffTree('', failing, {
    index,
    owns: () => true,
    hint: (path) => hints.push(path),
    accepts: async () => {},
  })
  await assert.rejects(diffed, /the thread ended/)
  assert.deepEqual(hints, [])
})
