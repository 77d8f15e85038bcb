import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { recoverUploads } from '../../src/files/uploads/recover-uploads.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, read, sha256, types } from '../contract/file-store.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

/** What a broker that was killed had done: the content is in a temporary file, the intent recorded. */
async function intended(
  { directory, index }: DiskStoreUnderTest,
  path: string,
  content: string,
  batch?: string,
): Promise<string> {
  const id = randomUUID()
  const file = join(directory, 'data', 'state', 'volumes', 'default', 'temp', id)
  await writeFile(file, content)
  const { dev, ino } = await stat(file, { bigint: true })
  const told = { path: pathOf(path), dev, ino, sha256: sha256(content), uploader: 'ann' }
  await index.intend({ id, batch: batch ?? id, ...told })
  return file
}

function recover({ volumes, index }: DiskStoreUnderTest) {
  return recoverUploads(volumes, index)
}

test('an upload that never became visible is discarded', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'old')
  await intended(subject, 'x', 'new')
  await intended(subject, 'd/y', 'new')
  assert.deepEqual(await recover(subject), { finished: 0, discarded: 2 })
  assert.equal(await read(subject.store, 'x'), 'old')
  assert.deepEqual(types(await subject.told()), ['FILE CREATED'])
  assert.deepEqual(await subject.leftovers(), [])
})

test('an upload that replaced its file and was not told is told', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'old')
  await rename(await intended(subject, 'x', 'new'), join(subject.files, 'x'))
  assert.deepEqual(await recover(subject), { finished: 1, discarded: 0 })
  const [, change] = await subject.told()
  assert.equal(change?.type, 'FILE UPDATED')
  assert.equal(change?.origin, 'upload')
  assert.equal(subject.index.usage.bytesOf('ann'), 'new'.length)
  assert.equal((await subject.store.find(pathOf('x')))?.sha256, sha256('new'))
  assert.deepEqual(await subject.leftovers(), [])
})

test('an upload that was linked and still has its first name is finished', async () => {
  await using subject = await openDiskStore()
  await link(await intended(subject, 'x', 'new'), join(subject.files, 'x'))
  assert.deepEqual(await recover(subject), { finished: 1, discarded: 0 })
  assert.deepEqual(types(await subject.told()), ['FILE CREATED'])
  assert.equal((await subject.store.find(pathOf('x')))?.sha256, sha256('new'))
  assert.equal((await stat(join(subject.files, 'x'))).nlink, 1)
})

test('a batch of which one file became visible is finished whole', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'b/2', 'old')
  const first = await intended(subject, 'b/1', 'one', 'batch')
  await intended(subject, 'b/2', 'two', 'batch')
  await intended(subject, 'b/deeper/3', 'three', 'batch')
  await link(first, join(subject.files, 'b', '1'))
  await unlink(first)
  assert.deepEqual(await recover(subject), { finished: 3, discarded: 0 })
  for (const [path, content] of [
    ['b/1', 'one'],
    ['b/2', 'two'],
    ['b/deeper/3', 'three'],
  ] as const) {
    assert.equal((await subject.store.find(pathOf(path)))?.sha256, sha256(content))
  }
  assert.equal((await subject.told()).length, 4)
  assert.deepEqual(await subject.leftovers(), [])
})

test('a file that was replaced on disk after the upload is left to the scan', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'x', 'old')
  await unlink(await intended(subject, 'x', 'new'))
  await writeFile(join(subject.files, 'x'), 'by hand')
  assert.deepEqual(await recover(subject), { finished: 0, discarded: 1 })
  assert.equal(await readFile(join(subject.files, 'x'), 'utf8'), 'by hand')
  assert.equal((await subject.told()).length, 1)
})

test('a file that only has the inode number of an upload is not taken for it', async () => {
  await using subject = await openDiskStore()
  const file = await intended(subject, 'x', 'new')
  await writeFile(file, 'something else of another program')
  await rename(file, join(subject.files, 'x'))
  assert.deepEqual(await recover(subject), { finished: 0, discarded: 1 })
  assert.deepEqual(await subject.told(), [])
})

test('a crash between the rename and the commit loses nothing and tells once', async () => {
  await using subject = await openDiskStore()
  const { apply } = subject.index
  subject.index.apply = () => Promise.reject(new Error('killed'))
  await assert.rejects(put(subject.store, 'd/x', 'new'), /killed/)
  subject.index.apply = apply
  assert.deepEqual(await subject.told(), [])
  assert.deepEqual(await recover(subject), { finished: 1, discarded: 0 })
  assert.deepEqual(await recover(subject), { finished: 0, discarded: 0 })
  assert.deepEqual(types(await subject.told()), ['FILE CREATED'])
  assert.equal((await subject.store.find(pathOf('d/x')))?.sha256, sha256('new'))
})

test('uploads into a volume that is offline wait for it', async () => {
  await using subject = await openDiskStore()
  await rename(await intended(subject, 'x', 'new'), join(subject.files, 'x'))
  const waiting = await intended(subject, 'y', 'not yet')
  await rename(subject.files, `${subject.files}.away`)
  await mkdir(subject.files)
  assert.deepEqual(await recover(subject), { finished: 0, discarded: 0 })
  assert.equal(await readFile(waiting, 'utf8'), 'not yet')
  assert.equal((await subject.index.openIntents()).length, 2)
})

test('temporary files that nobody intends anything with are swept', async () => {
  await using subject = await openDiskStore({ withConfig: true })
  const temp = join(subject.directory, 'data', 'state', 'volumes', 'default', 'temp')
  await writeFile(join(temp, randomUUID()), 'half')
  await writeFile(join(temp, 'not ours'), 'kept')
  const beside = join(subject.directory, `.broker-${randomUUID()}`)
  await writeFile(beside, 'half')
  await recover(subject)
  assert.deepEqual(await subject.leftovers(), ['not ours'])
  await assert.rejects(stat(beside))
})
