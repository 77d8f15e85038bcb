import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { link, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_LIMITS, FilePolicy } from '../../src/files/file-policy.ts'
import { fingerprintOf } from '../../src/files/fingerprint.ts'
import { recoverUploads } from '../../src/files/uploads/recover-uploads.ts'
import { pathOf } from '../contract/file-index.ts'
import { collect, put, read, sha256, types } from '../contract/file-store.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

/** States in which a killed broker leaves its files, made by hand; then recovery, twice. */
async function open(): Promise<DiskStoreUnderTest> {
  const policy = new FilePolicy(DEFAULT_LIMITS, [{ globs: ['**'], versions: {} }])
  return openDiskStore({ policy })
}

function stateFile({ directory }: DiskStoreUnderTest, ...names: string[]): string {
  return join(directory, 'data/state/volumes/default', ...names)
}

async function intended(subject: DiskStoreUnderTest, file: string, path: string, content: string) {
  const { dev, ino } = await stat(file, { bigint: true })
  const id = randomUUID()
  const intent = { id, batch: id, path: pathOf(path), dev, ino, sha256: sha256(content) }
  await subject.index.intend(intent)
  return id
}

async function uploaded(subject: DiskStoreUnderTest, path: string, content: string) {
  const file = stateFile(subject, 'temp', randomUUID())
  await writeFile(file, content)
  const id = await intended(subject, file, path, content)
  const named = stateFile(subject, 'temp', id)
  await rename(file, named)
  return { id, file: named }
}

/** Recovers, holds the index against the disk, and sees that there is nothing left to recover. */
async function recovered(subject: DiskStoreUnderTest) {
  const { volumes, index, store } = subject
  await recoverUploads(volumes, index)
  const told = (await subject.told()).length
  await recoverUploads(volumes, index)
  assert.equal((await subject.told()).length, told)
  for (const { path, fingerprint } of await index.below('', '', 1000)) {
    const stats = await stat(join(subject.files, path), { bigint: true })
    assert.deepEqual(fingerprint, fingerprintOf(stats), path)
  }
  const rows = await index.versions.below('', '', 1000)
  assert.deepEqual((await readdir(stateFile(subject, 'versions'))).sort(), rows.map(idOf).sort())
  assert.deepEqual(await subject.leftovers(), [])
  const contents = new Map<string, string[]>()
  for (const { path, id } of rows) {
    await using file = await store.history.open(path, id)
    assert.ok(file, `${path} ${id}`)
    const content = (await collect(file.read(0, file.size))).toString()
    contents.set(path, [...(contents.get(path) ?? []), content])
  }
  return Object.fromEntries(contents)
}

function idOf({ id }: { readonly id: string }): string {
  return id
}

test('a content that was linked and not replaced stays where it is', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  const { id } = await uploaded(subject, 'x', 'new')
  await link(join(subject.files, 'x'), stateFile(subject, 'versions', id))
  assert.deepEqual(await recovered(subject), {})
  assert.equal(await read(subject.store, 'x'), 'old')
  assert.deepEqual(types(await subject.told()), ['FILE CREATED'])
})

test('a content that was replaced and not recorded becomes a version of the upload that is told', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  const { id, file } = await uploaded(subject, 'x', 'new')
  await link(join(subject.files, 'x'), stateFile(subject, 'versions', id))
  await rename(file, join(subject.files, 'x'))
  assert.deepEqual(await recovered(subject), { x: ['old'] })
  assert.equal(await read(subject.store, 'x'), 'new')
  assert.deepEqual(types(await subject.told()), ['FILE CREATED', 'FILE UPDATED'])
})

test('a deleted content that was taken away and not recorded becomes a version and is told', async () => {
  await using subject = await open()
  await put(subject.store, 'd/x', 'old')
  await put(subject.store, 'd/y', 'other')
  await rename(join(subject.files, 'd/x'), stateFile(subject, 'versions', randomUUID()))
  assert.deepEqual(await recovered(subject), { 'd/x': ['old'] })
  const [version] = await subject.store.history.versions(pathOf('d/x'))
  assert.equal(version?.deleted, true)
  const last = (await subject.told()).at(-1)
  assert.deepEqual([last?.type, last?.path, last?.origin], ['FILE DELETED', 'd/x', 'upload'])
})

test('a taken content whose place another file has since is a version, and the scan tells the rest', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  await rename(join(subject.files, 'x'), stateFile(subject, 'versions', randomUUID()))
  await writeFile(join(subject.files, 'x'), 'by hand')
  const { volumes, index } = subject
  await recoverUploads(volumes, index)
  const [version] = await index.versions.of(pathOf('x'))
  assert.deepEqual([version?.sha256, version?.deleted], [sha256('old'), false])
  assert.deepEqual(types(await subject.told()), ['FILE CREATED'])
})

test('a restored version that was not recorded is no version any more', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  await put(subject.store, 'x', 'new')
  const [version] = await subject.index.versions.of(pathOf('x'))
  const file = stateFile(subject, 'versions', version?.id ?? '')
  const id = await intended(subject, file, 'x', 'old')
  await link(join(subject.files, 'x'), stateFile(subject, 'versions', id))
  await rename(file, join(subject.files, 'x'))
  assert.deepEqual(await recovered(subject), { x: ['new'] })
  assert.equal(await read(subject.store, 'x'), 'old')
  assert.deepEqual(types(await subject.told()).slice(2), ['FILE UPDATED'])
})

test('a version that was linked back and still has its first name is restored', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  await subject.store.delete(pathOf('x'), () => undefined)
  const [version] = await subject.index.versions.of(pathOf('x'))
  const file = stateFile(subject, 'versions', version?.id ?? '')
  await intended(subject, file, 'x', 'old')
  await link(file, join(subject.files, 'x'))
  assert.deepEqual(await recovered(subject), {})
  assert.equal(await read(subject.store, 'x'), 'old')
  assert.deepEqual(types(await subject.told()), ['FILE CREATED', 'FILE DELETED', 'FILE CREATED'])
})

test('a restore that did not come to its rename leaves the version', async () => {
  await using subject = await open()
  await put(subject.store, 'x', 'old')
  await put(subject.store, 'x', 'new')
  const [version] = await subject.index.versions.of(pathOf('x'))
  await intended(subject, stateFile(subject, 'versions', version?.id ?? ''), 'x', 'old')
  assert.deepEqual(await recovered(subject), { x: ['old'] })
  assert.equal(await read(subject.store, 'x'), 'new')
})

test('files without a record go, and records without a file', async () => {
  await using subject = await open()
  for (const content of ['one', 'two', 'three']) await put(subject.store, 'x', content)
  await writeFile(stateFile(subject, 'versions', randomUUID()), 'nobody knows me')
  const [, oldest] = await subject.index.versions.of(pathOf('x'))
  await unlink(stateFile(subject, 'versions', oldest?.id ?? ''))
  assert.deepEqual(await recovered(subject), { x: ['two'] })
})
