import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { ContentValidator } from '../../src/files/content-validator.ts'
import type { FileChange } from '../../src/files/file-change.ts'
import { entityTagOf } from '../../src/files/store/entity-tag.ts'
import type {
  CommittedFile,
  FileStore,
  ListOptions,
  StagedFile,
  WriteGuard,
} from '../../src/files/store/file-store.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import { pathOf } from './file-index.ts'

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: FileStore
  told(): Promise<readonly FileChange[]>
  /** Names of files that the store keeps anywhere beside those that it serves. */
  leftovers(): Promise<readonly string[]>
}

export interface StoreOptions {
  readonly maxFileBytes?: number
  readonly validators?: readonly ContentValidator[]
}

/** What every implementation of `FileStore` does. */
export function fileStoreContract(
  name: string,
  open: (options?: StoreOptions) => Promise<StoreUnderTest>,
): void {
  test(`${name}: what is put is read back and told once`, async () => {
    await using subject = await open()
    const stored = await put(subject.store, 'builds/a/x.txt', 'hello')
    assert.equal(stored.created, true)
    assert.equal(stored.etag, entityTagOf(sha256('hello')))
    assert.equal(await read(subject.store, 'builds/a/x.txt'), 'hello')
    const [change, ...more] = await subject.told()
    assert.deepEqual(more, [])
    assert.equal(change?.type, 'FILE CREATED')
    assert.equal(change?.sha256, sha256('hello'))
    assert.equal(change?.origin, 'upload')
    assert.notEqual(stored.position, undefined)
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: another content replaces the former and is told as an update`, async () => {
    await using subject = await open()
    await put(subject.store, 'x', 'one')
    const stored = await put(subject.store, 'x', 'two')
    assert.equal(stored.created, false)
    assert.equal(await read(subject.store, 'x'), 'two')
    assert.deepEqual(types(await subject.told()), ['FILE CREATED', 'FILE UPDATED'])
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: the same content again changes nothing and tells nothing`, async () => {
    await using subject = await open()
    const first = await put(subject.store, 'x', 'same')
    const second = await put(subject.store, 'x', 'same')
    assert.equal(second.created, false)
    assert.equal(second.position, undefined)
    assert.equal(second.etag, first.etag)
    assert.equal(second.modifiedMs, first.modifiedMs)
    assert.equal((await subject.told()).length, 1)
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: an empty file and a file of many blocks come back as they were`, async () => {
    await using subject = await open()
    await put(subject.store, 'empty', '')
    assert.equal(await read(subject.store, 'empty'), '')
    const large = Buffer.alloc(3_000_001, 'abcdefg')
    await put(subject.store, 'large', large)
    await using file = await subject.store.open(pathOf('large'))
    assert.equal(file?.sha256, sha256(large))
    assert.deepEqual(await collect(file?.read(0, large.length)), large)
    assert.deepEqual(await collect(file?.read(999, 2_000_123)), large.subarray(999, 2_000_123))
  })

  test(`${name}: a guard that throws leaves everything as it was`, async () => {
    await using subject = await open()
    const refuse: WriteGuard = () => {
      throw new BrokerError('PRECONDITION_FAILED', 'no')
    }
    await assert.rejects(put(subject.store, 'd/x', 'one', refuse), { code: 'PRECONDITION_FAILED' })
    assert.equal(await subject.store.find(pathOf('d/x')), undefined)
    assert.equal(await names(subject.store, 'd'), undefined)
    assert.deepEqual(await subject.told(), [])
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a guard sees the file that is there`, async () => {
    await using subject = await open()
    const seen: (string | undefined)[] = []
    const look: WriteGuard = (current, next) => {
      seen.push(current?.etag, next.sha256)
    }
    await put(subject.store, 'x', 'one', look)
    await put(subject.store, 'x', 'two', look)
    assert.deepEqual(seen, [undefined, sha256('one'), entityTagOf(sha256('one')), sha256('two')])
  })

  test(`${name}: of many writers that want to create, one does`, async () => {
    await using subject = await open()
    const createOnly: WriteGuard = (current) => {
      if (current !== undefined) throw new BrokerError('PRECONDITION_FAILED', 'it is there')
    }
    const writers = Array.from({ length: 20 }, (_, i) =>
      put(subject.store, 'one/winner', `writer ${i}`, createOnly),
    )
    const outcomes = await Promise.allSettled(writers)
    const won = outcomes.filter(({ status }) => status === 'fulfilled')
    assert.equal(won.length, 1)
    assert.equal((await subject.told()).length, 1)
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a batch is refused whole when one of its guards refuses`, async () => {
    await using subject = await open()
    const one = await stage(subject.store, 'b/1', 'one')
    const two = await stage(subject.store, 'b/2', 'two')
    const refuse = () => {
      throw new BrokerError('FORBIDDEN', 'not this one')
    }
    const batch = [
      { staged: one, guard: allow },
      { staged: two, guard: refuse },
    ]
    await assert.rejects(subject.store.commit(batch), { code: 'FORBIDDEN' })
    await one[Symbol.asyncDispose]()
    await two[Symbol.asyncDispose]()
    assert.deepEqual(await names(subject.store, ''), [])
    assert.deepEqual(await subject.told(), [])
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a batch is told in its order, without what was there already`, async () => {
    await using subject = await open()
    await put(subject.store, 'b/2', 'two')
    const batch = []
    for (const [path, content] of Object.entries({ 'b/3': 'three', 'b/2': 'two', 'b/1': 'one' })) {
      batch.push({ staged: await stage(subject.store, path, content), guard: allow })
    }
    const stored = await subject.store.commit(batch)
    assert.deepEqual(
      stored.map(({ path, created }) => [path, created]),
      [
        ['b/3', true],
        ['b/2', false],
        ['b/1', true],
      ],
    )
    for (const { staged } of batch) await staged[Symbol.asyncDispose]()
    const paths = (await subject.told()).map(({ path }) => path)
    assert.deepEqual(paths, ['b/2', 'b/3', 'b/1'])
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a deleted file is gone and told with what it was`, async () => {
    await using subject = await open()
    await put(subject.store, 'x', 'one')
    const deleted = await subject.store.delete(pathOf('x'), () => undefined)
    assert.notEqual(deleted?.position, undefined)
    assert.equal(await subject.store.open(pathOf('x')), undefined)
    assert.equal(await subject.store.delete(pathOf('x'), () => undefined), undefined)
    const last = (await subject.told()).at(-1)
    assert.equal(last?.type, 'FILE DELETED')
    assert.equal(last?.sha256, sha256('one'))
  })

  test(`${name}: a delete that is refused leaves the file`, async () => {
    await using subject = await open()
    await put(subject.store, 'x', 'one')
    const refuse = () => {
      throw new BrokerError('PRECONDITION_FAILED', 'no')
    }
    await assert.rejects(subject.store.delete(pathOf('x'), refuse), { code: 'PRECONDITION_FAILED' })
    assert.equal(await read(subject.store, 'x'), 'one')
  })

  test(`${name}: a file is no directory and a directory no file`, async () => {
    await using subject = await open()
    await put(subject.store, 'a/b', 'file')
    await assert.rejects(put(subject.store, 'a', 'x'), { code: 'PATH_CONFLICT' })
    await assert.rejects(put(subject.store, 'a/b/c', 'x'), { code: 'PATH_CONFLICT' })
    assert.equal(await subject.store.open(pathOf('a')), undefined)
    assert.equal(await subject.store.open(pathOf('a/b/c')), undefined)
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: what does not have its digest, or breaks off, is refused`, async () => {
    await using subject = await open()
    const digests = [{ field: 'repr-digest', algorithm: 'sha-512' as const, hex: 'ab' }]
    const options = { digests, confirmShrink: false }
    await assert.rejects(subject.store.stage(pathOf('x'), chunks('one'), options), {
      code: 'DIGEST_MISMATCH',
    })
    const broken = (async function* () {
      yield Buffer.alloc(700_000)
      throw new Error('connection reset')
    })()
    await assert.rejects(subject.store.stage(pathOf('x'), broken, { ...options, digests: [] }), {
      code: 'BODY_INCOMPLETE',
    })
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a content beyond the largest file is refused`, async () => {
    await using subject = await open({ maxFileBytes: 10 })
    await assert.rejects(put(subject.store, 'x', 'eleven bytes'), { code: 'TOO_LARGE' })
    await put(subject.store, 'x', 'ten bytes.')
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a content that is here is stored again without its bytes`, async () => {
    await using subject = await open({ maxFileBytes: 3_000_000 })
    const { store } = subject
    const content = Buffer.alloc(2_000_000, 'known')
    await put(store, 'a/source', content)
    await put(store, 'small', 'too small to look for')
    const known = (digest: string, mayRead = (path: FilePath) => path === 'a/source') =>
      store.stageKnown(pathOf('b/copy'), digest, mayRead, { confirmShrink: false })
    assert.equal(await known(sha256('something else')), undefined)
    assert.equal(await known(sha256('too small to look for'), () => true), undefined)
    assert.equal(await known(sha256(content), () => false), undefined)
    {
      await using discarded = await known(sha256(content))
      assert.equal(discarded?.size, content.length)
    }
    assert.equal(await store.find(pathOf('b/copy')), undefined)
    {
      await using staged = await known(sha256(content))
      assert.ok(staged)
      const [stored] = await store.commit([{ staged, guard: allow }])
      assert.equal(stored?.sha256, sha256(content))
    }
    await put(store, 'a/source', 'replaced, and the copy is not')
    assert.equal(await read(store, 'b/copy'), content.toString())
    assert.equal((await subject.told()).at(-2)?.path, 'b/copy')
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: a validator sees the content before anybody else and may refuse it`, async () => {
    const validator: ContentValidator = {
      matches: (path) => path.endsWith('.even'),
      validate: async (content, { path, confirmShrink }) => {
        assert.equal((await content.bytes()).length, content.size)
        assert.equal(path, 'x.even')
        assert.equal(confirmShrink, false)
        return content.size % 2 === 0 ? [] : [{ message: 'odd', line: 1 }]
      },
    }
    await using subject = await open({ validators: [validator] })
    await put(subject.store, 'x.odd', 'odd')
    await put(subject.store, 'x.even', 'even')
    await assert.rejects(put(subject.store, 'x.even', 'odd'), (error) => {
      assert.ok(error instanceof BrokerError)
      assert.equal(error.code, 'CONTENT_INVALID')
      assert.deepEqual(error.fields['errors'], [{ message: 'odd', line: 1 }])
      return true
    })
    assert.equal(await read(subject.store, 'x.even'), 'even')
    assert.deepEqual(await subject.leftovers(), [])
  })

  test(`${name}: names that are hidden are neither stored nor found`, async () => {
    await using subject = await open()
    for (const path of ['.git/config', 'a/.hidden', '~lock', 'a/b.part', 'c.tmp']) {
      await assert.rejects(put(subject.store, path, 'x'), { code: 'PATH_INVALID' })
      assert.equal(await subject.store.open(pathOf(path)), undefined)
    }
    assert.deepEqual(await names(subject.store, ''), [])
  })

  test(`${name}: a listing has names in order, and pages continue after a name`, async () => {
    await using subject = await open()
    for (const path of ['b', 'a/1', 'a-b', 'a.c', 'a/2/3', 'é', '\u{1f600}', '\u{ffee}']) {
      await put(subject.store, path, 'x')
    }
    const all = ['a', 'a-b', 'a.c', 'b', 'é', '\u{ffee}', '\u{1f600}']
    assert.deepEqual(await names(subject.store, ''), all)
    assert.deepEqual(await names(subject.store, '', { after: 'a.c' }), all.slice(3))
    assert.deepEqual(await names(subject.store, 'a'), ['1', '2'])
    assert.equal(await names(subject.store, 'nothing'), undefined)
    const deep = ['a-b', 'a.c', 'a/1', 'a/2/3', 'b', 'é', '\u{ffee}', '\u{1f600}']
    assert.deepEqual(await names(subject.store, '', { recursive: true }), deep)
    const later = { recursive: true, after: 'a/1' }
    assert.deepEqual(await names(subject.store, '', later), deep.slice(3))
  })

  test(`${name}: a listing leaves out what is not to be shown`, async () => {
    await using subject = await open()
    for (const path of ['a/1', 'a/secret', 'b/2']) await put(subject.store, path, 'x')
    const showsFile = (path: FilePath) => !path.includes('secret')
    const showsDirectory = (path: FilePath) => path !== 'b'
    assert.deepEqual(await names(subject.store, '', { showsDirectory }), ['a'])
    assert.deepEqual(await names(subject.store, 'a', { showsFile }), ['1'])
  })

  test(`${name}: a listing tells size, time and tag of files`, async () => {
    await using subject = await open()
    const stored = await put(subject.store, 'd/x', 'hello')
    const entries = await subject.store.list(pathOf('d'), everything)
    for await (const entry of entries ?? []) {
      assert.deepEqual(entry, {
        name: 'x',
        type: 'file',
        size: 5,
        modifiedMs: stored.modifiedMs,
        etag: stored.etag,
      })
    }
  })
}

export const allow: WriteGuard = () => undefined

const everything: ListOptions = {
  recursive: false,
  after: '',
  showsFile: () => true,
  showsDirectory: () => true,
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

export async function* chunks(content: string | Buffer): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(content)
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000)
}

export function stage(
  store: FileStore,
  path: string,
  content: string | Buffer,
): Promise<StagedFile> {
  return store.stage(pathOf(path), chunks(content), { digests: [], confirmShrink: false })
}

export async function put(
  store: FileStore,
  path: string,
  content: string | Buffer,
  guard: WriteGuard = allow,
): Promise<CommittedFile> {
  await using staged = await stage(store, path, content)
  const [stored] = await store.commit([{ staged, guard }])
  assert.ok(stored)
  return stored
}

export async function read(store: FileStore, path: string): Promise<string | undefined> {
  await using file = await store.open(pathOf(path))
  return file === undefined ? undefined : (await collect(file.read(0, file.size))).toString()
}

export async function collect(parts: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const read: Uint8Array[] = []
  for await (const part of parts ?? []) read.push(part)
  return Buffer.concat(read)
}

export async function names(
  store: FileStore,
  directory: string,
  options: Partial<ListOptions> = {},
): Promise<string[] | undefined> {
  const at = directory === '' ? '' : pathOf(directory)
  const entries = await store.list(at, { ...everything, ...options })
  if (entries === undefined) return undefined
  const found: string[] = []
  for await (const { name } of entries) found.push(name)
  return found
}

export function types(changes: readonly FileChange[]): string[] {
  return changes.map(({ type }) => type)
}
