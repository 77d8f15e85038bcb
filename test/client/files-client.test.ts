import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { BrokerClient, type BrokerClientOptions } from '../../src/client/index.ts'
import { collect } from './collect.ts'
import { FakeBroker, problem } from './fake-broker.ts'

function clientOf(broker: FakeBroker, options: Partial<BrokerClientOptions> = {}): BrokerClient {
  return new BrokerClient({ url: broker.url, token: 'dbk_x', backoff: () => 0, ...options })
}

const stored = { path: 'a/b', size: 3, sha256: 'x', etag: '"x"', position: 'e:1' }
const sha256 = createHash('sha256').update('abc').digest('hex')
const etag = `"sha256-${createHash('sha256').update('abc').digest('base64url')}"`

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk)))
}

test('put sends the content with its type, length, digest and conditions', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 201, json: stored })
  await using client = clientOf(broker)
  const options = { sha256, contentType: 'text/plain', ifMatch: '"y"', ifNoneMatch: '*' as const }
  assert.deepEqual(await client.files.put('a/b c', 'abc', options), stored)
  const [request] = broker.requests
  assert.equal(request?.method, 'PUT')
  assert.equal(request?.url, '/files/a/b%20c')
  assert.equal(String(request?.body), 'abc')
  const { headers } = request ?? {}
  assert.equal(headers?.['content-length'], '3')
  assert.equal(headers?.['content-type'], 'text/plain')
  assert.equal(headers?.['if-match'], '"y"')
  assert.equal(headers?.['if-none-match'], '*')
  const base64 = Buffer.from(sha256, 'hex').toString('base64')
  assert.equal(headers?.['repr-digest'], `sha-256=:${base64}:`)
})

test('a stream of known length is sent with it, and progress is told', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 201, json: stored })
  await using client = clientOf(broker)
  const told: unknown[] = []
  const onProgress = (...numbers: unknown[]) => told.push(numbers)
  await client.files.put('s', streamOf('abc', 'de'), { size: 5 })
  await client.files.put('b', new Blob(['abcde']), { onProgress })
  await client.files.put('c', () => streamOf('abc', 'de'), { onProgress })
  const [stream, blob, chunked] = broker.requests
  assert.equal(String(stream?.body), 'abcde')
  assert.equal(stream?.headers['content-length'], '5')
  assert.equal(blob?.headers['content-length'], '5')
  assert.equal(chunked?.headers['transfer-encoding'], 'chunked')
  assert.deepEqual(told, [
    [0, 5],
    [5, 5],
    [0, undefined],
    [3, undefined],
    [5, undefined],
  ])
})

test('an upload is repeated when its content can be had again', async () => {
  await using broker = await FakeBroker.start()
  await using client = clientOf(broker)
  for (const content of ['abc', () => streamOf('abc')]) {
    broker.answerWith('drop', { json: stored })
    await client.files.put('a', content)
  }
  assert.deepEqual(
    broker.requests.map(({ body }) => String(body)),
    ['abc', 'abc', 'abc', 'abc'],
  )
  broker.answerWith('drop')
  await assert.rejects(client.files.put('a', streamOf('abc')), { name: 'NetworkError' })
  assert.equal(broker.requests.length, 5)
})

test('a conditional upload is repeated after a refusal, not after a lost answer', async () => {
  await using broker = await FakeBroker.start()
  await using client = clientOf(broker)
  broker.answerWith({ status: 429, json: problem('TOO_MANY_REQUESTS') }, { json: stored })
  await client.files.put('a', 'abc', { ifNoneMatch: '*' })
  assert.equal(broker.requests.length, 2)
  for (const answer of ['drop', { status: 504 }, { status: 500, json: problem('INTERNAL') }]) {
    broker.answerWith(answer as 'drop')
    await assert.rejects(client.files.put('a', 'abc', { ifNoneMatch: '*' }))
  }
  assert.equal(broker.requests.length, 5)
})

test('a digest that does not match is not uploaded again', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 400, json: problem('DIGEST_MISMATCH') })
  await using client = clientOf(broker)
  await assert.rejects(client.files.put('a', 'abd', { sha256 }), { code: 'DIGEST_MISMATCH' })
  assert.equal(broker.requests.length, 1)
})

test('get gives the content and what the headers say of it', async () => {
  await using broker = await FakeBroker.start()
  const modified = 'Fri, 20 Nov 2026 10:00:00 GMT'
  const headers = { etag, 'content-type': 'text/plain', 'last-modified': modified }
  broker.answerWith({ body: 'abc', headers })
  await using client = clientOf(broker)
  const file = await client.files.get('a')
  assert.equal(file.size, 3)
  assert.equal(file.etag, etag)
  assert.equal(file.sha256, sha256)
  assert.equal(file.contentType, 'text/plain')
  assert.deepEqual(file.modified, new Date(modified))
  assert.equal(await file.text(), 'abc')
  assert.deepEqual(await (await client.files.get('a')).bytes(), new TextEncoder().encode('abc'))
})

test('a range is asked for, and the size is that of the whole', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 206, body: 'bc', headers: { 'content-range': 'bytes 1-2/3' } })
  await using client = clientOf(broker)
  const file = await client.files.get('a', { range: { start: 1, end: 2 } })
  assert.equal(file.size, 3)
  assert.equal(await file.text(), 'bc')
  assert.equal(broker.requests[0]?.headers['range'], 'bytes=1-2')
})

test('a download that breaks off goes on where it was, of the same content', async () => {
  await using broker = await FakeBroker.start()
  const content = Buffer.alloc(500_000, 'abcdefg')
  broker.answer = ({ headers }) => {
    const start = Number(/bytes=(\d+)-/.exec(headers['range'] ?? '')?.[1] ?? 0)
    const range = { 'content-range': `bytes ${start}-499999/500000` }
    const breakAfter = start < 300_000 ? { breakAfter: 100_000 } : {}
    const body = content.subarray(start)
    return start === 0
      ? { body, headers: { etag }, ...breakAfter }
      : { status: 206, body, headers: { etag, ...range }, ...breakAfter }
  }
  await using client = clientOf(broker)
  const file = await client.files.get('a')
  assert.ok(Buffer.from(await file.bytes()).equals(content))
  assert.ok(broker.requests.length > 2)
  for (const { headers } of broker.requests.slice(1)) assert.equal(headers['if-match'], etag)
})

test('a download whose file changed meanwhile fails', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith(
    { body: 'abcdef', headers: { etag }, breakAfter: 3 },
    { status: 412, json: problem('PRECONDITION_FAILED') },
  )
  await using client = clientOf(broker)
  const file = await client.files.get('a')
  await assert.rejects(file.text(), { code: 'PRECONDITION_FAILED' })
})

test('a download without ETag that breaks off fails', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ body: 'abcdef', breakAfter: 3 })
  await using client = clientOf(broker)
  const file = await client.files.get('a')
  await assert.rejects(file.text(), { name: 'NetworkError' })
  assert.equal(broker.requests.length, 1)
})

test('head tells of a file that is there and fails for one that is not', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ headers: { etag, 'content-length': '3' } }, { status: 404 })
  await using client = clientOf(broker)
  const info = await client.files.head('a')
  assert.equal(info.size, 3)
  assert.equal(info.sha256, sha256)
  await assert.rejects(client.files.head('a'), { code: 'NOT_FOUND' })
})

test('a directory is no file, and no other answer that leads elsewhere is followed', async () => {
  await using broker = await FakeBroker.start()
  await using client = clientOf(broker)
  broker.answerWith({ status: 307, headers: { location: 'b%20c/' } })
  const expected = { code: 'PATH_CONFLICT', message: 'a/b c is a directory' }
  await assert.rejects(client.files.get('a/b c'), expected)
  await assert.rejects(client.files.head('a/b c'), expected)
  broker.answerWith({ status: 302, headers: { location: 'https://broker.example/?x' } })
  const moved = { code: 'REQUEST_INVALID', message: /leads to https:\/\/broker\.example: / }
  await assert.rejects(client.files.get('a'), moved)
  await assert.rejects(client.files.put('a', 'abc'), moved)
  await assert.rejects(client.events.publish('a', 'abc'), moved)
  assert.equal(broker.requests.length, 5)
})

test('list follows the cursor from page to page', async () => {
  await using broker = await FakeBroker.start()
  const file = (name: string) => ({ name, type: 'file', size: 1 })
  broker.answerWith(
    { json: { path: 'a', entries: [file('x'), file('y')], next: 'c/1&' } },
    { json: { path: 'a', entries: [file('z')], next: null } },
  )
  await using client = clientOf(broker)
  const entries = await collect(client.files.list('a/b', { recursive: true }))
  assert.deepEqual(entries, [file('x'), file('y'), file('z')])
  assert.deepEqual(
    broker.requests.map(({ url }) => url),
    ['/files/a/b/?recursive', '/files/a/b/?recursive&cursor=c%2F1%26'],
  )
})

test('delete says which file and which version, a directory with all below it', async () => {
  await using broker = await FakeBroker.start()
  broker.answerWith({ status: 204 })
  await using client = clientOf(broker)
  await client.files.delete('a/b', { ifMatch: etag })
  await client.files.deleteDirectory('a/b')
  const [file, directory] = broker.requests
  assert.equal(`${file?.method} ${file?.url}`, 'DELETE /files/a/b')
  assert.equal(file?.headers['if-match'], etag)
  assert.equal(`${directory?.method} ${directory?.url}`, 'DELETE /files/a/b/?recursive')
})

test('a delete whose answer was lost is done when the file is gone', async () => {
  await using broker = await FakeBroker.start()
  await using client = clientOf(broker)
  broker.answerWith('drop', { status: 404, json: problem('NOT_FOUND') })
  await client.files.delete('a')
  await assert.rejects(client.files.delete('a'), { code: 'NOT_FOUND' })
})
