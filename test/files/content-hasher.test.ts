import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ContentHasher, digestsOf } from '../../src/files/uploads/content-hasher.ts'

const BOTH = ['sha-256', 'sha-512'] as const

test('contents that are hashed at once on few threads do not mix', async () => {
  await using hasher = new ContentHasher(2)
  const contents = Array.from({ length: 8 }, (_, i) => randomBytes(1000 * (i + 1)))
  const digests = await Promise.all(
    contents.map(async (content) => {
      const session = hasher.begin(BOTH)
      for (let at = 0; at < content.length; at += 700) {
        const part = Uint8Array.from(content.subarray(at, at + 700))
        await session.update(part.buffer, part.length)
      }
      return session.digests()
    }),
  )
  for (const [i, content] of contents.entries()) {
    assert.deepEqual(digests[i], digestsOf(content, BOTH))
    const expected = createHash('sha512').update(content).digest('hex')
    assert.equal(digests[i]?.['sha-512'], expected)
  }
})

test('the memory of a block comes back to be filled again', async () => {
  await using hasher = new ContentHasher(1)
  const session = hasher.begin(['sha-256'])
  const block = new ArrayBuffer(100)
  const back = await session.update(block, 10)
  assert.equal(block.byteLength, 0)
  assert.equal(back.byteLength, 100)
  const expected = digestsOf(new Uint8Array(10), ['sha-256'])
  assert.deepEqual(await session.digests(), expected)
})

test('a session that is over, or whose hasher is closed, says so', async () => {
  const hasher = new ContentHasher(1)
  const session = hasher.begin(['sha-256'])
  session.discard()
  session.discard()
  await assert.rejects(session.update(new ArrayBuffer(1), 1), /over/)
  const waiting = hasher.begin(['sha-256'])
  const pending = waiting.update(new ArrayBuffer(100_000_000), 100_000_000)
  const outcome = assert.rejects(pending)
  await hasher.close()
  await outcome
  assert.throws(() => hasher.begin(['sha-256']), /closed/)
})

test('blocks are written where they belong, and none after one that could not be', async () => {
  await using hasher = new ContentHasher(1)
  const directory = await mkdtemp(join(tmpdir(), 'content-hasher-'))
  await using cleanup = new AsyncDisposableStack()
  cleanup.defer(() => rm(directory, { recursive: true }))
  const file = cleanup.use(await open(join(directory, 'x'), 'w+'))
  const full = cleanup.use(await open('/dev/full', 'w'))
  const block = (text: string) => Uint8Array.from(Buffer.from(text)).buffer
  const session = hasher.begin(['sha-256'])
  await session.update(block('one--'), 3, { fd: file.fd, position: 2 })
  await session.update(block('two'), 3, { fd: file.fd, position: 5 })
  assert.equal(await readFile(join(directory, 'x'), 'utf8'), '\0\0onetwo')
  assert.deepEqual(await session.digests(), digestsOf(Buffer.from('onetwo'), ['sha-256']))
  const failing = hasher.begin(['sha-256'])
  const outcomes = await Promise.allSettled([
    failing.update(block('three'), 5, { fd: full.fd, position: 0 }),
    failing.update(block('four'), 4, { fd: file.fd, position: 8 }),
  ])
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code),
    ['ENOSPC', undefined],
  )
  assert.equal((await file.stat()).size, 8)
})
