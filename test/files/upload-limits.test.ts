import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileStore, StagedFile } from '../../src/files/store/file-store.ts'
import { FreeSpace } from '../../src/files/uploads/free-space.ts'
import { steadyBody } from '../../src/files/uploads/steady-body.ts'
import { assertUsageAddsUp, pathOf } from '../contract/file-index.ts'
import { allow, chunks, put } from '../contract/file-store.ts'
import { FakeTimers } from './fake-timers.ts'
import { openDiskStore } from './support-store.ts'

interface Upload {
  readonly path: string
  readonly bytes: number
  readonly uploader?: string
  /** Whether its sender says how much it is. */
  readonly isAnnounced?: boolean
}

function stage(store: FileStore, upload: Upload): Promise<StagedFile> {
  const { path, bytes, uploader = 'ann', isAnnounced = false } = upload
  return store.stage(pathOf(path), chunks(Buffer.alloc(bytes, randomInt(256))), {
    digests: [],
    confirmShrink: false,
    uploader,
    ...(isAnnounced && { size: bytes }),
  })
}

async function commit(store: FileStore, staged: StagedFile): Promise<void> {
  await using _ = staged
  await store.commit([{ staged, guard: allow }])
}

async function upload(store: FileStore, given: Upload): Promise<void> {
  await commit(store, await stage(store, given))
}

const quotaExceeded = (quota: 'user' | 'volume') => (error: Error) => {
  assert.ok('code' in error && 'fields' in error)
  assert.deepEqual([error.code, error.fields], ['QUOTA_EXCEEDED', { quota }])
  return true
}

test('all files together stay within the quota, and what is replaced is credited', async () => {
  await using subject = await openDiskStore({ limits: { quotaBytes: 1_000_000 } })
  const { store } = subject
  await upload(store, { path: 'a', bytes: 600_000 })
  for (const isAnnounced of [true, false]) {
    const tooMuch = { path: 'b', bytes: 400_001, isAnnounced }
    await assert.rejects(upload(store, tooMuch), quotaExceeded('volume'))
  }
  await upload(store, { path: 'b', bytes: 400_000 })
  await upload(store, { path: 'a', bytes: 600_000, isAnnounced: true })
  await assert.rejects(upload(store, { path: 'a', bytes: 600_001 }), quotaExceeded('volume'))
  await upload(store, { path: 'a', bytes: 100_000 })
  await upload(store, { path: 'c', bytes: 500_000 })
  await store.delete(pathOf('c'), () => undefined)
  await upload(store, { path: 'd/e', bytes: 500_000 })
  assert.equal(subject.index.usage.totalBytes, 1_000_000)
  assert.deepEqual(await subject.leftovers(), [])
})

test('a user has a quota for what is theirs: what others replaced or the disk holds is not', async () => {
  await using subject = await openDiskStore({ limits: { userQuotaBytes: 1000 } })
  const { store, index } = subject
  await upload(store, { path: 'a', bytes: 1000 })
  await assert.rejects(upload(store, { path: 'b', bytes: 1 }), quotaExceeded('user'))
  await upload(store, { path: 'a', bytes: 900, uploader: 'bob' })
  await upload(store, { path: 'b', bytes: 1000 })
  assert.deepEqual([index.usage.bytesOf('ann'), index.usage.bytesOf('bob')], [1000, 900])
  await assert.rejects(upload(store, { path: 'c', bytes: 101, uploader: 'bob' }))
  // Replacing what is somebody else's is no credit of one's own.
  await assert.rejects(upload(store, { path: 'b', bytes: 101, uploader: 'bob' }))
  await upload(store, { path: 'anonymous', bytes: 1000, uploader: '' })
  await assert.rejects(upload(store, { path: 'x', bytes: 1, uploader: '' }), quotaExceeded('user'))
  await upload(store, { path: 'empty', bytes: 0 })
})

test('the same content again is no more than it was', async () => {
  await using subject = await openDiskStore({ limits: { quotaBytes: 5, userQuotaBytes: 5 } })
  for (let i = 0; i < 2; i += 1) await put(subject.store, 'x', '12345')
  await assert.rejects(put(subject.store, 'y', '1'), quotaExceeded('user'))
})

test('uploads at once cannot pass a quota together, announced or not', async () => {
  const limits = { quotaBytes: 1_000_000, userQuotaBytes: 600_000 }
  await using subject = await openDiskStore({ limits })
  const { store, index } = subject
  const uploads = Array.from({ length: 24 }, (_, i) =>
    upload(store, {
      path: `x/${i}`,
      bytes: 150_000,
      uploader: i % 2 === 0 ? 'ann' : 'bob',
      isAnnounced: i % 3 === 0,
    }),
  )
  const outcomes = await Promise.allSettled(uploads)
  const stored = outcomes.filter(({ status }) => status === 'fulfilled').length
  assert.ok(stored >= 1 && stored <= 6, String(stored))
  assert.equal(index.usage.totalBytes, stored * 150_000)
  // Nothing is held any more: what is left can be had.
  await store.delete(pathOf('x/0'), () => undefined)
  const left = 600_000 - index.usage.bytesOf('ann')
  await upload(store, { path: 'rest', bytes: Math.min(left, 1_000_000 - index.usage.totalBytes) })
  assert.deepEqual(await subject.leftovers(), [])
})

test('what was credited and is gone when the upload commits is asked for again', async () => {
  await using subject = await openDiskStore({ limits: { quotaBytes: 1000 } })
  const { store, index } = subject
  await upload(store, { path: 'a', bytes: 900 })
  const replacing = await stage(store, { path: 'a', bytes: 950, isAnnounced: true })
  await store.delete(pathOf('a'), () => undefined)
  await upload(store, { path: 'b', bytes: 900 })
  await assert.rejects(commit(store, replacing), quotaExceeded('volume'))
  assert.equal(index.usage.totalBytes, 900)
  assert.deepEqual(await subject.leftovers(), [])
})

test('sums stay what the files add up to, whatever is uploaded and deleted at once', async () => {
  const operation = fc.record({
    path: fc.constantFrom('a', 'b', 'c', 'd/e'),
    bytes: fc.integer({ min: 0, max: 100_000 }),
    uploader: fc.constantFrom('', 'ann', 'bob'),
    isAnnounced: fc.boolean(),
    deletes: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
      const limits = { quotaBytes: 200_000, userQuotaBytes: 120_000 }
      await using subject = await openDiskStore({ limits })
      const { store, index } = subject
      await Promise.allSettled(
        operations.map((given) =>
          given.deletes ? store.delete(pathOf(given.path), () => undefined) : upload(store, given),
        ),
      )
      await assertUsageAddsUp(index)
      assert.ok(index.usage.totalBytes <= limits.quotaBytes)
      for (const user of ['', 'ann', 'bob']) {
        assert.ok(index.usage.bytesOf(user) <= limits.userQuotaBytes)
      }
    }),
    { numRuns: 15 },
  )
})

test('a single served file can be replaced when the quota is used up', async () => {
  await using subject = await openDiskStore({ limits: { quotaBytes: 10 }, withConfig: true })
  await writeFile(subject.usersFile, 'users')
  await put(subject.store, 'x', '1234567890')
  await put(subject.store, 'config/broker_users.xml', 'other users')
})

test('no more bodies are received at once than allowed', async () => {
  await using subject = await openDiskStore({ limits: { uploadsAtOnce: 2 } })
  const { store } = subject
  const open = Promise.withResolvers<void>()
  const slow = (path: string) =>
    store.stage(
      pathOf(path),
      (async function* () {
        yield Buffer.from('x')
        await open.promise
      })(),
      { digests: [], confirmShrink: false },
    )
  const first = [slow('a'), slow('b')]
  const busy = { code: 'TOO_MANY_REQUESTS', fields: { retryAfterSeconds: 1 } }
  await assert.rejects(store.admit(pathOf('c'), {}), busy)
  await assert.rejects(put(store, 'c', 'x'), busy)
  open.resolve()
  // Received and not yet committed: a place is free.
  const staged = await Promise.all(first)
  await store.admit(pathOf('c'), {})
  await put(store, 'c', 'x')
  for (const each of staged) await commit(store, each)
})

test('an upload that comes too slowly is cut off and leaves nothing', async () => {
  const timers = new FakeTimers()
  await using subject = await openDiskStore({ limits: { slowestUpload: 1000 }, timers })
  const parts: PromiseWithResolvers<number>[] = []
  const next = () => {
    const part = Promise.withResolvers<number>()
    parts.push(part)
    return part.promise
  }
  const body = (async function* () {
    for (;;) yield Buffer.alloc(await next())
  })()
  const staging = subject.store.stage(pathOf('x'), body, { digests: [], confirmShrink: false })
  staging.catch(() => undefined)
  const send = async (bytes: number) => {
    while (parts.length === 0) await new Promise(setImmediate)
    parts.shift()?.resolve(bytes)
    while (parts.length === 0) await new Promise(setImmediate)
  }
  // Enough on average, though nothing comes for 9 seconds.
  await send(10_000)
  timers.advance(9_000)
  await send(200_000)
  timers.advance(1_000)
  await send(9_999)
  timers.advance(10_000)
  await assert.rejects(staging, { code: 'REQUEST_TIMEOUT' })
  assert.deepEqual(await subject.leftovers(), [])
  assert.equal(await subject.store.find(pathOf('x')), undefined)
})

test('a sender that waits for us is not slow', async () => {
  const timers = new FakeTimers()
  const body = (async function* () {
    yield Buffer.alloc(10)
    timers.advance(9_000)
    yield Buffer.alloc(9_000)
  })()
  let bytes = 0
  for await (const part of steadyBody(body, 1000, timers)) {
    bytes += part.byteLength
    // A disk that takes its time.
    timers.advance(60_000)
  }
  assert.equal(bytes, 9_010)
})

test('space is refused as far as it is promised, and comes back', async () => {
  let free = 1000
  const space = new FreeSpace(async () => free, 100)
  const full = { code: 'STORAGE_FULL' }
  const first = await space.promise(500)
  await assert.rejects(space.promise(401), full)
  const second = await space.promise(400)
  const unannounced = space.promise(0)
  await assert.rejects(
    unannounced.then((promise) => promise.take(1)),
    full,
  )
  await first.take(200)
  free -= 200
  await assert.rejects(space.require(1), full)
  second[Symbol.dispose]()
  await space.require(400)
  await assert.rejects(space.require(401), full)
  // Somebody else fills the disk: promises cannot be kept.
  free = 150
  await assert.rejects(space.require(500), full)
  await assert.rejects(first.take(100), full)
  first[Symbol.dispose]()
})

test('space is promised once, however many ask for it in the same moment', async () => {
  const space = new FreeSpace(async () => 1000, 100)
  for (let round = 0; round < 2; round += 1) {
    const asked = Array.from({ length: 5 }, () => space.promise(400))
    const outcomes = await Promise.allSettled(asked)
    const promised = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    assert.equal(promised.length, 2)
    for (const { value } of promised) value[Symbol.dispose]()
  }
})
