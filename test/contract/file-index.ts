import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileChange } from '../../src/files/file-change.ts'
import type { FileVersion } from '../../src/files/history/version-records.ts'
import {
  FINDABLE_BYTES,
  type FileIndex,
  type UploadIntent,
} from '../../src/files/index/file-index.ts'
import type { IndexEntry } from '../../src/files/index/index-entry.ts'
import { type FilePath, parseFilePath } from '../../src/protocol/file-path.ts'

export interface IndexUnderTest extends AsyncDisposable {
  readonly index: FileIndex
  /** What was told, in order. */
  told(): Promise<readonly FileChange[]>
  /** The next `apply` with changes fails before it commits. */
  failNextTell(): void
}

/** What every implementation of `FileIndex` does. */
export function fileIndexContract(name: string, open: () => Promise<IndexUnderTest>): void {
  test(`${name}: an entry is found as it was put, with numbers beyond 2^53`, async () => {
    await using subject = await open()
    const entry = entryOf('a/b.txt', 'aa', { ino: 2n ** 63n + 5n, ctimeNs: 2n ** 62n + 1n })
    await subject.index.apply({ put: [entry], changes: [] })
    assert.deepEqual(await subject.index.get(entry.path), entry)
    assert.equal(await subject.index.get(pathOf('a/b')), undefined)
  })

  test(`${name}: what is removed is not found any more`, async () => {
    await using subject = await open()
    const entry = entryOf('x', 'aa')
    await subject.index.apply({ put: [entry], changes: [] })
    await subject.index.apply({ remove: [entry.path], changes: [] })
    assert.equal(await subject.index.get(entry.path), undefined)
    assert.deepEqual(await subject.index.below('', '', 10), [])
  })

  test(`${name}: an entry that is put again replaces the former one`, async () => {
    await using subject = await open()
    await subject.index.apply({ put: [entryOf('x', 'aa')], changes: [] })
    const next = entryOf('x', 'bb', { size: 9 })
    await subject.index.apply({ put: [next], changes: [] })
    assert.deepEqual(await subject.index.get(next.path), next)
    assert.equal((await subject.index.below('', '', 10)).length, 1)
  })

  test(`${name}: changes are told in order and answered with their positions`, async () => {
    await using subject = await open()
    const changes = ['p', 'q', 'r'].map((path) => changeOf(path))
    const positions = await subject.index.apply({ changes })
    assert.equal(new Set(positions).size, 3)
    assert.deepEqual(await subject.told(), changes)
  })

  test(`${name}: a change that cannot be told leaves the entries as they were`, async () => {
    await using subject = await open()
    const former = entryOf('x', 'aa')
    await subject.index.apply({ put: [former], changes: [] })
    await subject.index.intend(intentOf('1', 'x'))
    subject.failNextTell()
    const put = [entryOf('x', 'bb')]
    await assert.rejects(subject.index.apply({ put, fulfil: ['1'], changes: [changeOf('x')] }))
    assert.deepEqual(await subject.index.get(former.path), former)
    assert.equal((await subject.index.openIntents()).length, 1)
  })

  test(`${name}: an intent is open until a mutation fulfils it`, async () => {
    await using subject = await open()
    const [first, second] = [intentOf('1', 'x'), intentOf('2', 'y/z')]
    await subject.index.intend(first)
    await subject.index.intend(second)
    assert.deepEqual(await subject.index.openIntents(), [first, second])
    await subject.index.apply({ fulfil: ['1'], changes: [] })
    assert.deepEqual(await subject.index.openIntents(), [second])
  })

  test(`${name}: versions are kept and dropped with the entries, or not at all`, async () => {
    await using subject = await open()
    const { versions } = subject.index
    const [older, newer] = [versionOf('1', 'x', 1), versionOf('2', 'x', 2, { deleted: true })]
    await subject.index.apply({ keep: [newer, older], changes: [] })
    assert.deepEqual(await versions.of(pathOf('x')), [newer, older])
    assert.deepEqual(await versions.usage(), { count: 2, bytes: 6 })
    subject.failNextTell()
    const keep = [versionOf('3', 'x', 3, { uploader: 'ann' })]
    await assert.rejects(subject.index.apply({ keep, drop: ['1'], changes: [changeOf('x')] }))
    assert.deepEqual(await versions.of(pathOf('x')), [newer, older])
    await subject.index.apply({ keep, drop: ['1'], changes: [changeOf('x')] })
    assert.deepEqual(await versions.of(pathOf('x')), [...keep, newer])
  })

  test(`${name}: versions below a directory come whole, so many paths at a time`, async () => {
    await using subject = await open()
    const keep = ['a', 'a-b', 'a/1', 'a/1', 'a/b/2', 'a0'].map((path, i) =>
      versionOf(`id-${i}`, path, i),
    )
    await subject.index.apply({ keep, changes: [] })
    const below = async (directory: string, after: string, paths: number) =>
      (await subject.index.versions.below(directory, after, paths)).map(({ id }) => id)
    assert.deepEqual(await below('a', '', 10), ['id-3', 'id-2', 'id-4'])
    assert.deepEqual(await below('a', '', 1), ['id-3', 'id-2'])
    assert.deepEqual(await below('a', 'a/1', 1), ['id-4'])
    assert.deepEqual(await below('', 'a-b', 2), ['id-3', 'id-2', 'id-4'])
    assert.deepEqual(await below('nothing', '', 2), [])
  })

  test(`${name}: a directory holds what is below it and not what only begins like it`, async () => {
    await using subject = await open()
    const paths = ['a', 'a-b', 'a.c', 'a/1', 'a/b/2', 'a0', 'ab/3', 'b/4']
    await subject.index.apply({ put: paths.map((path) => entryOf(path, 'aa')), changes: [] })
    assert.deepEqual(namesOf(await subject.index.below('a', '', 10)), ['a/1', 'a/b/2'])
    assert.deepEqual(namesOf(await subject.index.below('a', 'a/1', 10)), ['a/b/2'])
    assert.deepEqual(namesOf(await subject.index.below('b', 'a/1', 10)), ['b/4'])
    assert.deepEqual(namesOf(await subject.index.below('', 'a/1', 3)), ['a/b/2', 'a0', 'ab/3'])
    assert.deepEqual(namesOf(await subject.index.below('nothing', '', 10)), [])
  })

  test(`${name}: the bytes of all files and of each uploader are known without adding them up`, async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (all) => {
        await using subject = await open()
        await applyAll(subject, all)
        await assertUsageAddsUp(subject.index)
      }),
      { numRuns: 50 },
    )
  })

  test(`${name}: a large content is found at every path that has it`, async () => {
    await using subject = await open()
    const { index } = subject
    const size = FINDABLE_BYTES
    const put = ['b', 'a/x', 'c'].map((path) => entryOf(path, 'aa', { size }))
    const others = [entryOf('d', 'bb', { size }), entryOf('small', 'aa', { size: size - 1 })]
    await index.apply({ put: [...put, ...others], changes: [] })
    const sha256 = 'aa'.repeat(32)
    assert.deepEqual(await index.withContent(sha256, 10), ['a/x', 'b', 'c'])
    assert.deepEqual(await index.withContent(sha256, 2), ['a/x', 'b'])
    assert.deepEqual(await index.withContent('cc'.repeat(32), 2), [])
    await index.apply({ remove: [pathOf('b')], put: [entryOf('c', 'cc', { size })], changes: [] })
    assert.deepEqual(await index.withContent(sha256, 10), ['a/x'])
  })

  test(`${name}: pages follow the order of UTF-8 bytes and lose nothing`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(pathText, { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (paths, limit) => {
          await using subject = await open()
          await subject.index.apply({ put: paths.map((path) => entryOf(path, 'aa')), changes: [] })
          const seen: string[] = []
          for (;;) {
            const page = namesOf(await subject.index.below('', seen.at(-1) ?? '', limit))
            seen.push(...page)
            if (page.length < limit) break
          }
          assert.deepEqual(seen, paths.toSorted(byBytes))
        },
      ),
      { numRuns: 25 },
    )
  })

  test(`${name}: a refusal is known until its path is put, removed or pardoned`, async () => {
    await using subject = await open()
    const { index } = subject
    const path = pathOf('x')
    const end = [{ put: [entryOf('x', 'aa')] }, { remove: [path] }, { pardon: [path] }]
    for (const mutation of end) {
      await index.apply({ refuse: [{ path, sha256: 'aa' }], changes: [] })
      await index.apply({ refuse: [{ path, sha256: 'bb' }], changes: [] })
      await index.apply({ put: [entryOf('other', 'aa')], changes: [] })
      assert.equal(await index.refusalOf(path), 'bb')
      await index.apply({ ...mutation, changes: [] })
      assert.equal(await index.refusalOf(path), undefined)
    }
  })
}

const pathText = fc
  .array(
    fc.constantFrom('a', 'B', '-', '.', '0', 'é', '\u{ffee}', '\u{1f600}', 'z', '/').map(String),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''))
  .filter((text) => parseFilePath(text).ok)

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/** All entries added up, by uploader; `total` for all. */
async function addedUp(index: FileIndex): Promise<Record<string, number>> {
  const entries = await index.below('', '', 1000)
  const sumOf = (found: readonly IndexEntry[]) =>
    found.reduce((sum, { fingerprint }) => sum + fingerprint.size, 0)
  const ofUser = (uploader: string) =>
    [uploader, sumOf(entries.filter((entry) => entry.uploader === uploader))] as const
  return { total: sumOf(entries), ...Object.fromEntries(UPLOADERS.map(ofUser)) }
}

export async function assertUsageAddsUp(index: FileIndex): Promise<void> {
  const { usage } = index
  const ofUsers = UPLOADERS.map((uploader) => [uploader, usage.bytesOf(uploader)])
  const told = { total: usage.totalBytes, ...Object.fromEntries(ofUsers) }
  assert.deepEqual(told, await addedUp(index))
}

const UPLOADERS = ['', 'ann', 'total', 'bob']

const entry = fc
  .record({
    path: fc.constantFrom('a', 'b', 'c/d', 'c/e'),
    size: fc.integer({ min: 0, max: 2 ** 40 }),
    uploader: fc.option(fc.constantFrom(...UPLOADERS), { nil: undefined }),
  })
  .map(({ path, size, uploader }) => ({
    ...entryOf(path, 'aa', { size }),
    ...(uploader !== undefined && { uploader }),
  }))

const mutation = fc.record({
  put: fc.uniqueArray(entry, { maxLength: 3, selector: ({ path }) => path }),
  remove: fc.uniqueArray(fc.constantFrom('a', 'b', 'c/d', 'none').map(pathOf), { maxLength: 2 }),
  fails: fc.boolean(),
})

/** Any mutations, some of which are not committed. */
export const mutations = fc.array(mutation, { maxLength: 12 })

export async function applyAll(
  { index, failNextTell }: Pick<IndexUnderTest, 'index' | 'failNextTell'>,
  all: readonly { put: IndexEntry[]; remove: FilePath[]; fails: boolean }[],
): Promise<void> {
  for (const { put, remove, fails } of all) {
    if (fails) failNextTell()
    const applied = index.apply({ put, remove, changes: fails ? [changeOf('a')] : [] })
    if (fails) await assert.rejects(applied)
    else await applied
  }
}

export function pathOf(text: string): FilePath {
  const path = parseFilePath(text)
  assert.ok(path.ok, text)
  return path.value
}

function namesOf(entries: readonly IndexEntry[]): string[] {
  return entries.map(({ path }) => path)
}

function versionOf(
  id: string,
  path: string,
  replacedMs: number,
  others: Partial<FileVersion> = {},
): FileVersion {
  return { ...entryOf(path, 'cc'), id, replacedMs, deleted: false, ...others }
}

function entryOf(
  path: string,
  digit: string,
  fingerprint: Partial<IndexEntry['fingerprint']> = {},
): IndexEntry {
  return {
    path: pathOf(path),
    fingerprint: { dev: 1n, ino: 2n, size: 3, mtimeNs: 4n, ctimeNs: 5n, ...fingerprint },
    sha256: digit.repeat(32),
  }
}

function changeOf(path: string): FileChange {
  return {
    type: 'FILE CREATED',
    path: pathOf(path),
    size: 1,
    sha256: '00',
    etag: '"x"',
    modified: '2026-01-01T00:00:00.000Z',
    origin: 'upload',
  }
}

function intentOf(id: string, path: string): UploadIntent {
  return { id, batch: id, path: pathOf(path), ino: 2n ** 62n + 3n, dev: 7n, sha256: 'cc' }
}
