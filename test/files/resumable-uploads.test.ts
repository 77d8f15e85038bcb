import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { appendFile, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { Database } from '../../src/database/database.ts'
import type { ResumableUpload } from '../../src/files/uploads/resumable-upload.ts'
import {
  ResumableUploads,
  type ResumableUploadsOptions,
} from '../../src/files/uploads/resumable-uploads.ts'
import { type UploadRecord, UploadRecords } from '../../src/files/uploads/upload-records.ts'
import { BrokerError, type ProblemCode } from '../../src/protocol/problem.ts'
import { pathOf } from '../contract/file-index.ts'
import { allow, chunks, put, read } from '../contract/file-store.ts'
import { FakeTimers } from './fake-timers.ts'
import { type DiskStoreOptions, type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

interface Subject extends AsyncDisposable {
  readonly disk: DiskStoreUnderTest
  readonly records: UploadRecords
  /** As a broker that starts over the same state. */
  open(options?: ResumableUploadsOptions): Promise<ResumableUploads>
}

async function subject(
  options: Pick<DiskStoreOptions, 'limits' | 'timers'> = {},
): Promise<Subject> {
  const cleanup = new AsyncDisposableStack()
  const disk = cleanup.use(await openDiskStore(options))
  const database = cleanup.use(await Database.open(':memory:'))
  const records = await UploadRecords.open(database)
  const log = pino({ level: 'silent' })
  return {
    disk,
    records,
    open: async (options) =>
      cleanup.use(await ResumableUploads.open({ store: disk.store, records, log }, options)),
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  }
}

function recordOf(path: string, length: number, user: string | null = 'ci'): UploadRecord {
  return {
    id: randomUUID(),
    user,
    path: pathOf(path),
    length,
    digests: [],
    conditions: {},
    confirmShrink: false,
    metadata: '',
  }
}

function append(uploads: ResumableUploads, upload: ResumableUpload, text: string): Promise<void> {
  const content = chunks(Buffer.from(text))
  return uploads.append(upload, { content, checksum: undefined, cut: () => undefined })
}

test('a whole upload that a crash kept from becoming a file becomes one when it is asked for', async () => {
  await using under = await subject()
  const before = await under.open()
  const record = recordOf('a/x', 5)
  await append(before, await before.create(record), '12345')

  const after = await under.open()
  const finished = await after.hold(record.id, 'ci', (upload) => after.finish(upload, allow))
  assert.notEqual(finished.position, null)
  assert.equal(await readFile(join(under.disk.files, 'a/x'), 'utf8'), '12345')
  assert.deepEqual(await under.disk.leftovers(), [])

  const later = await under.open()
  assert.deepEqual(later.find(record.id, 'ci').record.finished, finished)
})

for (const [code, stays] of [
  ['STORAGE_FULL', true],
  ['UNAVAILABLE', true],
  ['CREDENTIAL_INVALID', true],
  ['FORBIDDEN', false],
  ['PRECONDITION_FAILED', false],
] satisfies [ProblemCode, boolean][]) {
  test(`a whole upload that is refused with ${code} ${stays ? 'stays' : 'is removed'}`, async () => {
    await using under = await subject()
    const uploads = await under.open()
    const record = recordOf('x', 5)
    const upload = await uploads.create(record)
    await append(uploads, upload, '12345')
    const refuse = () => {
      throw new BrokerError(code, 'no')
    }
    await assert.rejects(uploads.finish(upload, refuse), { code })
    if (stays) {
      const { etag } = await uploads.finish(uploads.find(record.id, 'ci'), allow)
      assert.equal((await under.disk.store.find(record.path))?.etag, etag)
    } else {
      assert.throws(() => uploads.find(record.id, 'ci'), { code: 'NOT_FOUND' })
      assert.deepEqual(await under.records.all(), [])
    }
    assert.deepEqual(await under.disk.leftovers(), [])
  })
}

test('the quota is held from the creation until the upload is a file or gone', async () => {
  await using under = await subject({ limits: { quotaBytes: 10 } })
  const { store, index } = under.disk
  const uploads = await under.open()
  const first = await uploads.create(recordOf('x', 6))
  const exceeded = { code: 'QUOTA_EXCEEDED' }
  await assert.rejects(uploads.create(recordOf('y', 5, 'another')), exceeded)
  await assert.rejects(put(store, 'y', '12345'), exceeded)
  await uploads.remove(first)
  const second = await uploads.create(recordOf('x', 6))
  await append(uploads, second, '123')
  await assert.rejects(put(store, 'y', '12345'), exceeded)
  await append(uploads, second, '456')
  const refuse = () => {
    throw new BrokerError('CREDENTIAL_INVALID', 'no')
  }
  await assert.rejects(uploads.finish(second, refuse), { code: 'CREDENTIAL_INVALID' })
  await assert.rejects(put(store, 'y', '12345'), exceeded)
  await uploads.finish(second, allow)
  assert.deepEqual([index.usage.totalBytes, index.usage.bytesOf('ci')], [6, 6])
  assert.equal((await index.get(pathOf('x')))?.uploader, 'ci')
  await put(store, 'y', '1234')
})

test('an upload that an earlier process left holds its quota again, or asks with the next part', async () => {
  await using under = await subject({ limits: { userQuotaBytes: 10 } })
  for (const path of ['x', 'y']) {
    const record = recordOf(path, 6)
    await under.records.put(record)
    await writeFile(join(under.disk.directory, 'data/state/volumes/default/temp', record.id), '12')
  }
  const uploads = await under.open()
  await assert.rejects(uploads.create(recordOf('z', 5)), { code: 'QUOTA_EXCEEDED' })
  const [first, second] = (await under.records.all()).map(({ id }) => uploads.find(id, 'ci'))
  assert.ok(first && second)
  const outcomes = await Promise.allSettled([
    append(uploads, first, '3456'),
    append(uploads, second, '3456'),
  ])
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await uploads.remove(first.isWhole ? first : second)
  await append(uploads, first.isWhole ? second : first, '3456')
})

test('a part needs a place among the bodies that come at once', async () => {
  await using under = await subject({ limits: { uploadsAtOnce: 1 } })
  const uploads = await under.open()
  const [first, second] = [
    await uploads.create(recordOf('x', 2)),
    await uploads.create(recordOf('y', 1)),
  ]
  const [asked, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const content = (async function* () {
    asked.resolve()
    yield Buffer.from('1')
    await open.promise
    yield Buffer.from('2')
  })()
  const slow = uploads.append(first, { content, checksum: undefined, cut: () => undefined })
  await asked.promise
  await assert.rejects(append(uploads, second, '1'), { code: 'TOO_MANY_REQUESTS' })
  open.resolve()
  await slow
  await append(uploads, second, '1')
  for (const upload of [first, second]) await uploads.finish(upload, allow)
})

test('a part that comes too slowly is cut off, and what came of it stays', async () => {
  const timers = new FakeTimers()
  await using under = await subject({ limits: { slowestUpload: 1000 }, timers })
  const uploads = await under.open()
  const upload = await uploads.create(recordOf('x', 5))
  const waits = Promise.withResolvers<void>()
  const content = (async function* () {
    yield Buffer.from('12')
    waits.resolve()
    await new Promise(() => undefined)
  })()
  const slow = uploads.append(upload, { content, checksum: undefined, cut: () => undefined })
  slow.catch(() => undefined)
  await waits.promise
  timers.advance(10_000)
  await assert.rejects(slow, { code: 'REQUEST_TIMEOUT' })
  assert.equal(upload.offset, 2)
  await append(uploads, upload, '345')
  await uploads.finish(upload, allow)
  assert.equal(await read(under.disk.store, 'x'), '12345')
})

test('one user may have so many uploads open, whatever others have', async () => {
  await using under = await subject()
  const uploads = await under.open({ maxOpen: 2 })
  const first = await uploads.create(recordOf('1', 1))
  const second = await uploads.create(recordOf('2', 1))
  const third = () => uploads.create(recordOf('3', 1))
  await assert.rejects(third(), { code: 'TOO_MANY_REQUESTS' })
  await uploads.create(recordOf('3', 1, 'another'))
  await uploads.create(recordOf('3', 1, null))
  await append(uploads, first, '1')
  await uploads.finish(first, allow)
  const outcomes = await Promise.allSettled([third(), third(), third()])
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1)
  await uploads.remove(second)
  await third()
})

test('an upload to which nothing comes expires, and one that is finished is forgotten', async () => {
  await using under = await subject()
  const before = await under.open()
  const old = await before.create(recordOf('old', 10))
  await append(before, old, '12345')
  const young = await before.create(recordOf('young', 10))
  const done = await before.create(recordOf('done', 0))
  await before.finish(done, allow)
  const file = join(under.disk.directory, 'data/state/volumes/default/temp', old.record.id)
  const yesterday = Date.now() / 1000 - 24 * 60 * 60
  await utimes(file, yesterday, yesterday)

  const after = await under.open()
  assert.throws(() => after.find(old.record.id, 'ci'), { code: 'NOT_FOUND' })
  assert.equal(after.find(young.record.id, 'ci').offset, 0)
  assert.deepEqual(await under.disk.leftovers(), [young.record.id])

  const last = await under.open({ lifetimeMs: 0 })
  assert.throws(() => last.find(young.record.id, 'ci'), { code: 'NOT_FOUND' })
  assert.deepEqual(await under.disk.leftovers(), [])
  assert.deepEqual(
    (await under.records.all()).map(({ id }) => id),
    [done.record.id],
  )
})

test('an upload whose bytes are gone is forgotten', async () => {
  await using under = await subject()
  const uploads = await under.open()
  const upload = await uploads.create(recordOf('x', 10))
  await upload.partial.discard()
  const after = await under.open()
  assert.throws(() => after.find(upload.record.id, 'ci'), { code: 'NOT_FOUND' })
  assert.deepEqual(await under.records.all(), [])
})

test('of those who wait for an upload only the newest is served', async () => {
  await using under = await subject()
  const uploads = await under.open()
  const { id } = (await uploads.create(recordOf('x', 10))).record
  const [started, first] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const running = uploads.hold(id, 'ci', () => {
    started.resolve()
    return first.promise
  })
  await started.promise
  const second = uploads.hold(id, 'ci', () => Promise.resolve('second'))
  const third = uploads.hold(id, 'ci', () => Promise.resolve('third'))
  first.resolve()
  await running
  await assert.rejects(second, { code: 'UPLOAD_INTERRUPTED' })
  assert.equal(await third, 'third')
})

test('bytes behind the last verified ones do not count after a crash', async () => {
  await using under = await subject()
  const uploads = await under.open()
  const record = { ...recordOf('x', 10), verifiedBytes: 3 }
  const upload = await uploads.create(record)
  const file = join(under.disk.directory, 'data/state/volumes/default/temp', record.id)
  await appendFile(file, '12345')
  assert.equal(upload.offset, 0)
  const after = await under.open()
  const found = after.find(record.id, 'ci')
  assert.equal(found.offset, 3)
  await append(after, found, '4567890')
  await after.finish(found, allow)
  assert.equal(await readFile(join(under.disk.files, 'x'), 'utf8'), '1234567890')
})
