import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { appendFile, link, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { contentChange } from '../../src/files/content-change.ts'
import { fingerprintOf } from '../../src/files/fingerprint.ts'
import type { FileIndex } from '../../src/files/index/file-index.ts'
import type { KnownFile } from '../../src/files/store/file-store.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, read, sha256, types } from '../contract/file-store.ts'
import { filesApp } from './support-http.ts'
import { openDiskStore } from './support-store.ts'

test('a file that was not told is served without a tag, and conditions on it fail', async () => {
  await using subject = await openDiskStore()
  await writeFile(join(subject.files, 'new.txt'), 'by hand')
  const app = filesApp(subject.store)
  const got = await app.inject('/files/new.txt')
  assert.equal(got.statusCode, 200)
  assert.equal(got.body, 'by hand')
  assert.equal(got.headers.etag, undefined)
  assert.equal(got.headers['repr-digest'], undefined)
  for (const headers of [{ 'if-none-match': '"a"' }, { 'if-match': '*' }]) {
    assert.equal((await app.inject({ url: '/files/new.txt', headers })).statusCode, 412)
  }
  const headers = {
    'if-match': `"sha256-${Buffer.from(sha256('by hand'), 'hex').toString('base64url')}"`,
  }
  const put = { method: 'PUT', url: '/files/new.txt', headers, payload: 'x' } as const
  assert.equal((await app.inject(put)).statusCode, 412)
  const listing = (await app.inject('/files/')).json()
  assert.equal(listing.entries[0].etag, null)
  assert.equal(listing.entries[0].size, 7)
  await app.close()
})

test('the delete of a file that was not told is said to whoever asked for it, without an event', async () => {
  const deleted: unknown[] = []
  const untoldDeleted = (...file: unknown[]) => void deleted.push(file)
  await using subject = await openDiskStore({ untoldDeleted })
  await writeFile(join(subject.files, 'new.txt'), 'by hand')
  const { position } = (await subject.store.delete(pathOf('new.txt'), () => undefined)) ?? {}
  assert.equal(position, undefined)
  assert.deepEqual(deleted, [['new.txt', 7]])
})

test('an edit that keeps size and time is noticed all the same', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'one')
  const file = join(subject.files, 'x')
  const { modifiedMs = 0 } = (await subject.store.find(pathOf('x'))) ?? {}
  await writeFile(file, 'two')
  await utimes(file, modifiedMs / 1000, modifiedMs / 1000)
  assert.equal((await subject.store.find(pathOf('x')))?.etag, undefined)
})

test('an edit on disk is told before the upload that replaces it', async () => {
  let reconcile = async (_path: FilePath) => {}
  await using subject = await openDiskStore({ reconcile: (path) => reconcile(path) })
  reconcile = (path) => tellDisk(subject.index, subject.files, path)
  await put(subject.store, 'x', 'one')
  await appendFile(join(subject.files, 'x'), ' and a half')
  const seen: (KnownFile | undefined)[] = []
  await put(subject.store, 'x', 'two', (current) => {
    seen.push(current)
  })
  assert.equal(seen[0]?.sha256, sha256('one and a half'))
  const changes = await subject.told()
  assert.deepEqual(types(changes), ['FILE CREATED', 'FILE UPDATED', 'FILE UPDATED'])
  assert.deepEqual(
    changes.map(({ origin }) => origin),
    ['upload', 'disk', 'upload'],
  )
})

test('without anybody to tell it, an edit on disk is replaced and the index follows', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'one')
  await writeFile(join(subject.files, 'x'), 'by hand')
  const stored = await put(subject.store, 'x', 'two')
  assert.equal(stored.created, false)
  assert.equal((await subject.store.find(pathOf('x')))?.sha256, sha256('two'))
  await rm(join(subject.files, 'x'))
  const again = await put(subject.store, 'x', 'two')
  assert.equal(again.created, true)
  assert.deepEqual(types(await subject.told()), ['FILE CREATED', 'FILE UPDATED'])
})

test('a file that appears while an upload is decided is not overwritten by a create', async () => {
  await using subject = await openDiskStore()
  let attempts = 0
  const stored = await put(subject.store, 'x', 'uploaded', (current) => {
    attempts += 1
    if (attempts === 1) {
      assert.equal(current, undefined)
      // What another program does between the look and the link.
      writeFileSync(join(subject.files, 'x'), 'by hand')
    } else {
      assert.notEqual(current, undefined)
    }
  })
  assert.equal(attempts, 2)
  assert.equal(stored.created, false)
  assert.deepEqual(await subject.leftovers(), [])
})

test('a hard link that somebody made is neither served, listed, replaced nor deleted', async () => {
  await using subject = await openDiskStore()
  const outside = join(subject.directory, 'outside')
  await writeFile(outside, 'secret')
  await mkdir(join(subject.files, 'd'))
  await link(outside, join(subject.files, 'd', 'leak'))
  assert.equal(await read(subject.store, 'd/leak'), undefined)
  await assert.rejects(put(subject.store, 'd/leak', 'x'), { code: 'PATH_CONFLICT' })
  assert.equal(await subject.store.delete(pathOf('d/leak'), () => undefined), undefined)
  const app = filesApp(subject.store)
  assert.deepEqual((await app.inject('/files/d/')).json().entries, [])
  await app.close()
})

test('a download of a file that is edited in place fails rather than mixes two contents', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', Buffer.alloc(2_000_000, 'a'))
  await using file = await subject.store.open(pathOf('x'))
  assert.ok(file)
  let bytes = 0
  await assert.rejects(async () => {
    for await (const part of file.read(0, file.size)) {
      if (bytes === 0) await writeFile(join(subject.files, 'x'), Buffer.alloc(2_000_000, 'b'))
      bytes += part.byteLength
    }
  }, /edited/)
  assert.ok(bytes < 2_000_000)
})

test('a download goes on with the former content when the file is replaced by an upload', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', Buffer.alloc(2_000_000, 'a'))
  await using file = await subject.store.open(pathOf('x'))
  assert.ok(file)
  let bytes = 0
  for await (const part of file.read(0, file.size)) {
    if (bytes === 0) await put(subject.store, 'x', 'other')
    assert.ok(part.every((byte) => byte === 0x61))
    bytes += part.byteLength
  }
  assert.equal(bytes, 2_000_000)
})

async function tellDisk(index: FileIndex, files: string, path: FilePath): Promise<void> {
  const stats = await stat(join(files, path), { bigint: true })
  const digest = sha256(await readFile(join(files, path)))
  const entry = { path, fingerprint: fingerprintOf(stats), sha256: digest }
  await index.apply({ put: [entry], changes: [contentChange('FILE UPDATED', entry, 'disk')] })
}
