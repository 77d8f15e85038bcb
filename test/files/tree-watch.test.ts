import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { HIDDEN_NAMES } from '../../src/files/watch/tree-names.ts'
import { TreeWatch } from '../../src/files/watch/tree-watch.ts'
import type { DirectoryEvents, DirectoryWatches } from '../../src/files/watch/watch-directories.ts'
import type {
  WatchCoverage,
  WatchHint,
  WatchSettings,
} from '../../src/files/watch/watch-messages.ts'

/** Watches that report what a test says, and fail when a test says so. */
class FakeWatches implements DirectoryWatches {
  readonly watched = new Set<string>()
  readonly failures = new Map<string, string>()
  limit = Number.POSITIVE_INFINITY
  /** Called before a directory is watched. */
  onAdd: (directory: string) => void = () => {}
  readonly #events: DirectoryEvents

  constructor(events: DirectoryEvents) {
    this.#events = events
  }

  async add(directories: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const failures = new Map<string, string>()
    for (const directory of directories) {
      this.onAdd(directory)
      const isFull = this.watched.size >= this.limit
      const code = this.failures.get(directory) ?? (isFull ? 'ENOSPC' : undefined)
      if (code === undefined) this.watched.add(directory)
      else failures.set(directory, code)
    }
    return failures
  }

  remove(directories: readonly string[]): void {
    for (const directory of directories) this.watched.delete(directory)
  }

  /** The event of a path in a watched directory; of no other. */
  report(path: string): void {
    if (this.watched.has(dirname(path))) this.#events.onEvent(dirname(path), basename(path))
  }

  /** The end of the watch of a directory. */
  lose(directory: string): void {
    if (this.watched.delete(directory)) this.#events.onLost(directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function setUp(settings: Partial<WatchSettings> = {}, maxQueuedEvents = 100) {
  const base = await mkdtemp(join(tmpdir(), 'broker-'))
  const [root, cookies] = [join(base, 'files'), join(base, 'cookies')]
  mkdirSync(root)
  const hints: WatchHint[] = []
  const coverages: WatchCoverage[] = []
  let onHints = () => {}
  let watches: FakeWatches | undefined
  const tree = new TreeWatch(
    { root, cookies, prefix: '', excluded: [], hidden: HIDDEN_NAMES, ...settings },
    {
      watch: (events) => {
        watches = new FakeWatches(events)
        return watches
      },
      onHints: (more) => {
        hints.push(...more)
        onHints()
      },
      onCoverage: (coverage) => coverages.push(coverage),
      onTrouble: (error) => assert.fail(error),
      maxQueuedEvents,
    },
  )
  assert.ok(watches)
  return {
    base,
    root,
    cookies,
    tree,
    watches,
    hints,
    coverages,
    /** Directories that are watched, relative to the root. */
    watched: () =>
      [...(watches?.watched ?? [])]
        .filter((directory) => directory.startsWith(root))
        .map((directory) => directory.slice(root.length + 1))
        .toSorted(),
    /** Hints in short, when there is one of `wanted`. */
    async until(wanted: string): Promise<string[]> {
      for (;;) {
        const words = hints.map((hint) =>
          hint.kind === 'rescan' ? hint.kind : `${hint.kind} ${hint.path}`,
        )
        if (words.includes(wanted)) return words
        await new Promise<void>((resolve) => {
          onHints = resolve
        })
      }
    },
    async [Symbol.asyncDispose]() {
      await tree[Symbol.asyncDispose]()
      await rm(base, { recursive: true })
    },
  }
}

test('every directory that is told is watched, and no hidden one', async () => {
  await using subject = await setUp({ excluded: ['config'] })
  for (const name of ['a/b/c', '.git/x', 'config', 'a/config', 'd.tmp', 'bad\u202e']) {
    mkdirSync(join(subject.root, name), { recursive: true })
  }
  symlinkSync('/etc', join(subject.root, 'link'))
  await subject.tree.cover(false)
  assert.deepEqual(subject.watched(), ['', 'a', 'a/b', 'a/b/c', 'a/config'])
  assert.deepEqual(subject.coverages, [{ watched: 5, unwatched: 0 }])
})

test('a file made in a new directory while it is about to be watched is not lost', async () => {
  await using subject = await setUp()
  await subject.tree.cover(false)
  // What is there when the directory is listed is found by whoever is hinted at the directory.
  subject.watches.onAdd = (directory) => {
    if (basename(directory) === 'a') mkdirSync(join(directory, 'late'))
  }
  mkdirSync(join(subject.root, 'a'))
  subject.watches.report(join(subject.root, 'a'))
  assert.deepEqual(await subject.until('directory a'), ['directory a'])
  assert.deepEqual(subject.watched(), ['', 'a', 'a/late'])
})

test('events of a file are gathered into one hint with what was seen last', async () => {
  await using subject = await setUp()
  await subject.tree.cover(false)
  const file = join(subject.root, 'f')
  writeFileSync(file, '1')
  for (let i = 0; i < 20; i += 1) subject.watches.report(file)
  writeFileSync(file, '1234')
  subject.watches.report(join(subject.root, '.hidden'))
  assert.deepEqual(await subject.until('path f'), ['path f'])
  const [hint] = subject.hints
  assert.ok(hint?.kind === 'path')
  assert.equal(hint.seen?.size, 4)
})

test('a directory that vanished is not watched any more and is looked at', async () => {
  await using subject = await setUp({ prefix: 'vol' })
  mkdirSync(join(subject.root, 'a/b/c'), { recursive: true })
  await subject.tree.cover(false)
  rmSync(join(subject.root, 'a'), { recursive: true })
  subject.watches.report(join(subject.root, 'a'))
  assert.deepEqual(await subject.until('directory vol/a'), ['path vol/a', 'directory vol/a'])
  assert.deepEqual(subject.watched(), [''])
})

test('a directory that was replaced by another of its name is watched anew', async () => {
  await using subject = await setUp()
  mkdirSync(join(subject.root, 'a/old'), { recursive: true })
  mkdirSync(join(subject.base, 'other/new'), { recursive: true })
  await subject.tree.cover(false)
  renameSync(join(subject.root, 'a'), join(subject.base, 'was'))
  renameSync(join(subject.base, 'other'), join(subject.root, 'a'))
  const added: string[] = []
  subject.watches.onAdd = (directory) => added.push(basename(directory))
  subject.watches.report(join(subject.root, 'a'))
  await subject.until('directory a')
  assert.deepEqual(added, ['a', 'new'])
  assert.deepEqual(subject.watched(), ['', 'a', 'a/new'])
})

test('a directory that is still the same is left as it is watched', async () => {
  await using subject = await setUp()
  mkdirSync(join(subject.root, 'a/b'), { recursive: true })
  await subject.tree.cover(false)
  const added: string[] = []
  subject.watches.onAdd = (directory) => added.push(directory)
  subject.watches.report(join(subject.root, 'a'))
  subject.watches.report(join(subject.root, 'f'))
  assert.deepEqual(await subject.until('path f'), ['path f'])
  assert.deepEqual(added, [])
})

test('a directory whose watch ended is watched again without those below it, and looked at', async () => {
  await using subject = await setUp()
  const [a, b] = [join(subject.root, 'a'), join(subject.root, 'a/b')]
  mkdirSync(b, { recursive: true })
  await subject.tree.cover(false)
  const added: string[] = []
  subject.watches.onAdd = (directory) => added.push(basename(directory))
  mkdirSync(join(a, 'late'))
  subject.watches.lose(a)
  assert.deepEqual(await subject.until('directory a'), ['directory a'])
  assert.deepEqual(added, ['a', 'late'])
  subject.watches.failures.set(a, 'ENOSPC')
  subject.hints.length = 0
  subject.watches.lose(a)
  await subject.until('directory a')
  assert.equal(subject.coverages.at(-1)?.reason, 'ENOSPC')
})

test('a directory whose watch ended while it went is forgotten with all below it', async () => {
  await using subject = await setUp()
  mkdirSync(join(subject.root, 'a/b'), { recursive: true })
  await subject.tree.cover(false)
  renameSync(join(subject.root, 'a'), join(subject.base, 'a'))
  subject.watches.lose(join(subject.root, 'a'))
  await subject.until('directory a')
  assert.deepEqual(subject.watched(), [''])
})

test('the directory of cookies is watched again when its watch has ended', async () => {
  await using subject = await setUp()
  await subject.tree.cover(false)
  subject.watches.lose(subject.cookies)
  await assert.rejects(subject.tree.cookie(1))
  await subject.tree.cover(false)
  assert.ok(subject.watches.watched.has(subject.cookies))
})

test('a cookie is answered after the hints of all events before it', async () => {
  await using subject = await setUp()
  await subject.tree.cover(false)
  mkdirSync(join(subject.root, 'd/e'), { recursive: true })
  writeFileSync(join(subject.root, 'f'), '')
  subject.watches.report(join(subject.root, 'd'))
  subject.watches.report(join(subject.root, 'f'))
  let isAnswered = false
  const answered = subject.tree.cookie(7).then(() => {
    isAnswered = true
  })
  await subject.until('path f')
  assert.equal(isAnswered, false)
  subject.watches.report(join(subject.cookies, '7'))
  await answered
  assert.deepEqual(
    subject.hints.map(({ kind }) => kind),
    ['path', 'directory'],
  )
})

test('a cookie that cannot be seen is refused', async () => {
  await using subject = await setUp()
  await assert.rejects(subject.tree.cookie(1), /cookies is not watched/)
  subject.watches.failures.set(subject.cookies, 'ENOSPC')
  await subject.tree.cover(false)
  await assert.rejects(subject.tree.cookie(2), /cookies is not watched/)
})

test('more events in a turn than the system may have held lead to a rescan', async () => {
  await using subject = await setUp({}, 100)
  await subject.tree.cover(false)
  for (let i = 0; i < 49; i += 1) subject.watches.report(join(subject.root, `f${i}`))
  await subject.until('path f0')
  assert.equal(subject.hints.length, 49)
  await new Promise((resolve) => setImmediate(resolve))
  const cookie = subject.tree.cookie(1)
  for (let i = 0; i < 50; i += 1) subject.watches.report(join(subject.root, `f${i}`))
  await subject.until('rescan')
  assert.equal(subject.hints.length, 50)
  // Its event is among those that were dropped.
  await cookie
  const added: string[] = []
  subject.watches.onAdd = (directory) => added.push(directory)
  await subject.tree.cover(false)
  assert.deepEqual(added, [subject.root], 'nobody knows what is watched any more')
})

test('directories beyond the limit of the system are reported and watched when there is room', async () => {
  await using subject = await setUp()
  for (let i = 0; i < 30; i += 1) mkdirSync(join(subject.root, `d${i}`))
  subject.watches.limit = 12
  let attempts = 0
  subject.watches.onAdd = () => {
    attempts += 1
  }
  await subject.tree.cover(false)
  assert.ok(attempts < 31, 'no attempt is made once the limit is known')
  assert.deepEqual(subject.coverages, [{ watched: 11, unwatched: 20, reason: 'ENOSPC' }])
  mkdirSync(join(subject.root, 'new'))
  subject.watches.report(join(subject.root, 'new'))
  await subject.until('directory new')
  assert.equal(subject.coverages.at(-1)?.unwatched, 21)
  subject.watches.limit = 100
  await subject.tree.cover(false)
  assert.deepEqual(subject.coverages.at(-1), { watched: 32, unwatched: 0 })
})

test('no more directories are watched than allowed', async () => {
  await using subject = await setUp({ maxWatches: 5 })
  for (let i = 0; i < 9; i += 1) mkdirSync(join(subject.root, `d${i}`))
  await subject.tree.cover(false)
  const [coverage] = subject.coverages
  assert.equal(coverage?.reason, 'ENOSPC')
  assert.ok(coverage.watched <= 5)
  assert.equal(coverage.watched + coverage.unwatched, 10)
})

for (const [what, code] of [
  ['that nobody may read', 'EACCES'],
  ['that a link to itself has replaced', 'ELOOP'],
] as const) {
  test(`a directory ${what} does not make the watching incomplete`, async () => {
    await using subject = await setUp()
    mkdirSync(join(subject.root, 'lost+found'))
    subject.watches.failures.set(join(subject.root, 'lost+found'), code)
    await subject.tree.cover(false)
    assert.deepEqual(subject.coverages, [{ watched: 1, unwatched: 0 }])
  })
}

test('a directory that cannot be watched is tried once more', async () => {
  await using subject = await setUp()
  const [once, always] = ['once', 'always'].map((name) => join(subject.root, name))
  for (const directory of [once, always]) {
    mkdirSync(String(directory))
    subject.watches.failures.set(String(directory), 'EINVAL')
  }
  let tries = 0
  subject.watches.onAdd = (directory) => {
    if (directory === once && ++tries === 2) subject.watches.failures.delete(directory)
  }
  await subject.tree.cover(false)
  assert.deepEqual(subject.coverages, [{ watched: 2, unwatched: 1, reason: 'EINVAL' }])
})

test('covering again forgets what is gone, and everything when it is asked to be fresh', async () => {
  await using subject = await setUp()
  mkdirSync(join(subject.root, 'a/b'), { recursive: true })
  await subject.tree.cover(false)
  rmSync(join(subject.root, 'a'), { recursive: true })
  mkdirSync(join(subject.root, 'c'))
  await subject.tree.cover(false)
  assert.deepEqual(subject.watched(), ['', 'c'])
  const added: string[] = []
  subject.watches.onAdd = (directory) => added.push(basename(directory))
  await subject.tree.cover(false)
  assert.deepEqual(added, [])
  await subject.tree.cover(true)
  assert.deepEqual(added, ['files', 'c'])
})

test('a root that is gone is an error, and its going leads to a rescan', async () => {
  await using subject = await setUp()
  await subject.tree.cover(false)
  rmSync(subject.root, { recursive: true })
  subject.watches.report(join(subject.root, 'files'))
  await subject.until('rescan')
  await assert.rejects(subject.tree.cover(false), { code: 'ENOENT' })
  mkdirSync(subject.root)
  await subject.tree.cover(true)
  assert.deepEqual(subject.watched(), [''])
})
