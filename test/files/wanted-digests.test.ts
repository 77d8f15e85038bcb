import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseWantedDigests } from '../../src/files/http/wanted-digests.ts'
import { StrongDigests } from '../../src/files/store/strong-digests.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { pathOf } from '../contract/file-index.ts'
import { put } from '../contract/file-store.ts'
import { filesApp } from './support-http.ts'
import { openDiskStore } from './support-store.ts'

const WANTED: readonly (readonly [string | undefined, readonly string[]])[] = [
  [undefined, ['sha-256']],
  ['sha-256=1', ['sha-256']],
  ['sha-512=10, sha-256=1', ['sha-512', 'sha-256']],
  ['sha-512=1', ['sha-512', 'sha-256']],
  ['sha-512=3,sha-256=3', ['sha-256']],
  ['sha-512=3;q=1 , sha-256=9', ['sha-256']],
  ['sha-512=1, sha-512=0', ['sha-256']],
  ['md5=10, unixsum=3', ['sha-256']],
  ['sha-256=0', []],
  ['sha-256=0, sha-512=0', []],
  ['sha-256=0, sha-512=1', ['sha-512']],
  ['sha-512=11', ['sha-256']],
  ['sha-512', ['sha-256']],
  ['sha-512=1,', ['sha-256']],
  ['', ['sha-256']],
]

test('the digests that are wanted are tried by preference', () => {
  for (const [field, expected] of WANTED) assert.deepEqual(parseWantedDigests(field), expected)
})

test('whatever is sent as a preference is read as one or passed over', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^(sha-(256|512)=\d{1,2}[,; ]{0,2}){0,4}$/))
  fc.assert(
    fc.property(text, (field) => {
      const wanted = parseWantedDigests(field)
      assert.ok(wanted.every((name, i) => wanted.indexOf(name) === i))
      assert.ok(wanted.length > 0 || field.includes('sha-256=0'))
    }),
  )
})

function digestOf(content: Uint8Array, algorithm: 'sha256' | 'sha512'): string {
  const name = algorithm.replace('sha', 'sha-')
  return `${name}=:${createHash(algorithm).update(content).digest('base64')}:`
}

test('a download is answered with the digest that is preferred, as far as it can be had', async () => {
  await using subject = await openDiskStore()
  await using hasher = new ContentHasher(1)
  const strongDigests = new StrongDigests(hasher)
  for (const prefix of [undefined, '/-/serve/']) {
    await using app = filesApp(subject.store, { strongDigests, acceleratedBy: () => prefix })
    for (const size of [0, 10, 64 * 1024, 64 * 1024 + 1, 1_000_001]) {
      const content = randomBytes(size)
      const { etag } = await put(subject.store, 'x', content)
      const get = (wanted: string, fields: Record<string, string> = {}) =>
        app.inject({ url: '/files/x', headers: { 'want-repr-digest': wanted, ...fields } })
      const strong = 'sha-512=10, sha-256=1'
      const head = { url: '/files/x', headers: { 'want-repr-digest': strong } }
      const answers = [
        await get(strong),
        await app.inject({ ...head, method: 'HEAD' }),
        await get(strong, { range: 'bytes=0-0' }),
        await get(strong, { 'if-none-match': etag }),
      ]
      for (const { statusCode, headers } of answers) {
        // Of a problem it would be the digest of something else.
        const expected = statusCode === 416 ? undefined : digestOf(content, 'sha512')
        assert.equal(headers['repr-digest'], expected)
        const isLinked = prefix !== undefined && statusCode === 200
        assert.equal(headers['x-accel-redirect'] !== undefined, isLinked)
      }
      const plain = await app.inject('/files/x')
      assert.equal(plain.headers['repr-digest'], digestOf(content, 'sha256'))
      const none = await get('sha-256=0')
      assert.equal(none.headers['repr-digest'], undefined)
      assert.equal(none.headers.etag, etag)
    }
  }
})

test('a content is read for its digest once, one that is too large not at all', async () => {
  await using subject = await openDiskStore()
  await using hasher = new ContentHasher(1)
  const digests = new StrongDigests(hasher)
  const content = randomBytes(300_000)
  await put(subject.store, 'x', content)
  await using file = await subject.store.open(pathOf('x'))
  assert.ok(file !== undefined)
  let reads = 0
  const { path, modifiedMs, etag, sha256, size } = file
  const counted = {
    ...{ path, modifiedMs, etag, sha256, size },
    read: (first: number, end: number) => {
      reads += 1
      return file.read(first, end)
    },
    serveLink: () => file.serveLink(),
    [Symbol.asyncDispose]: async () => undefined,
  }
  const all = await Promise.all(Array.from({ length: 10 }, () => digests.of(counted)))
  assert.deepEqual(new Set(all), new Set([createHash('sha512').update(content).digest('hex')]))
  assert.equal(reads, 1)
  assert.equal(await digests.of({ ...counted, sha256: 'other', size: 2 ** 27 }), undefined)
  assert.equal(await digests.of({ ...counted, sha256: undefined }), undefined)
  assert.equal(reads, 1)
})

test('a digest that could not be computed is asked for again', async () => {
  await using subject = await openDiskStore()
  await using hasher = new ContentHasher(1)
  const digests = new StrongDigests(hasher)
  const content = randomBytes(300_000)
  await put(subject.store, 'x', content)
  await using before = await subject.store.open(pathOf('x'))
  assert.ok(before !== undefined)
  // An edit in place: what is read is not what was promised.
  await writeFile(join(subject.files, 'x'), 'edited')
  assert.equal(await digests.of(before), undefined)
  await writeFile(join(subject.files, 'x'), 'edited again')
  await put(subject.store, 'x', content)
  await using after = await subject.store.open(pathOf('x'))
  assert.ok(after !== undefined)
  assert.equal(after.sha256, before.sha256)
  assert.equal(await digests.of(after), createHash('sha512').update(content).digest('hex'))
})
