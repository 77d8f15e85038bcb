import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { askToCreate, create, metadataOf, send, TUS } from '../support/tus.ts'

let broker: TestGateway

before(async () => {
  broker = await startGateway({ maxFile: '1MiB' })
})
after(() => broker[Symbol.asyncDispose]())

test('OPTIONS tells what is understood, to anybody', async () => {
  const answer = await fetch(`${broker.url}/uploads`, { method: 'OPTIONS' })
  assert.equal(answer.status, 204)
  assert.equal(answer.headers.get('tus-version'), '1.0.0')
  assert.equal(answer.headers.get('tus-resumable'), '1.0.0')
  assert.equal(answer.headers.get('tus-max-size'), String(2 ** 20))
  const extensions = answer.headers.get('tus-extension')
  assert.equal(extensions, 'creation,creation-with-upload,checksum,expiration,termination')
  assert.equal(answer.headers.get('tus-checksum-algorithm'), 'sha1,sha256,sha512')
})

test('an upload in parts becomes a file with its last part', async () => {
  const content = randomBytes(300_000)
  const url = await create(broker, 'parts/a b.bin', content.length)
  const first = await send(broker, url, 0, content.subarray(0, 100_000))
  assert.equal(first.status, 204)
  assert.equal(first.headers.get('upload-offset'), '100000')
  assert.ok(Date.parse(first.headers.get('upload-expires') ?? '') > Date.now())
  const missing = await broker.request('/files/parts/a%20b.bin', { as: 'admin' })
  assert.equal(missing.status, 404)

  const head = await broker.request(url, { as: 'admin', method: 'HEAD', headers: TUS })
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('upload-offset'), '100000')
  assert.equal(head.headers.get('upload-length'), '300000')
  assert.equal(head.headers.get('upload-metadata'), metadataOf({ path: 'parts/a b.bin' }))
  assert.equal(head.headers.get('cache-control'), 'no-store')

  const last = await send(broker, url, 100_000, content.subarray(100_000))
  assert.equal(last.status, 204)
  assert.equal(last.headers.get('content-location'), '/files/parts/a%20b.bin')
  assert.match(last.headers.get('broker-position') ?? '', /^\w+:\d+$/)
  const file = await broker.request('/files/parts/a%20b.bin', { as: 'admin' })
  assert.equal(file.headers.get('etag'), last.headers.get('etag'))
  assert.equal(sha256(Buffer.from(await file.arrayBuffer())), sha256(content))
  assert.deepEqual(await leftovers(), [])
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function leftovers(): Promise<string[]> {
  return readdir(join(broker.directory, 'data/state/volumes/default/temp'))
}

test('a creation brings the first part, or all of it', async () => {
  const headers = { 'content-type': 'application/offset+octet-stream' }
  const some = await askToCreate(broker, 'with/some', 10, { headers, body: '12345' })
  assert.equal(some.status, 201)
  assert.equal(some.headers.get('upload-offset'), '5')
  const all = await askToCreate(broker, 'with/all', 5, { headers, body: '12345' })
  assert.equal(all.status, 201)
  assert.equal(all.headers.get('upload-offset'), '5')
  assert.equal(all.headers.get('content-location'), '/files/with/all')
  assert.ok(all.headers.has('etag') && all.headers.has('broker-position'))
  assert.equal(await content('with/all'), '12345')
})

test('a new users file is validated before it is in force', async () => {
  const url = await create(broker, 'config/broker_users.xml', 5)
  const refused = await send(broker, url, 0, '<bad>')
  assert.equal(refused.status, 422)
  assert.equal((await problemOf(refused)).code, 'CONTENT_INVALID')
  assert.equal((await send(broker, url, 5, '')).status, 404)
  assert.deepEqual(await readdir(join(broker.directory, 'config')), ['broker_users.xml'])
})

test('an upload of nothing is a file at once', async () => {
  const answer = await askToCreate(broker, 'empty', 0)
  assert.equal(answer.status, 201)
  assert.equal(answer.headers.get('content-location'), '/files/empty')
  assert.equal(await content('empty'), '')
})

test('who lost the last answer asks and is told again, and the last part may come again', async () => {
  const url = await create(broker, 'lost', 5)
  const last = await send(broker, url, 0, '12345')
  const asked = await broker.request(url, { as: 'admin', method: 'HEAD', headers: TUS })
  const again = await send(broker, url, 5, '')
  assert.equal((await send(broker, url, 5, '6')).status, 413)
  for (const answer of [asked, again]) {
    assert.equal(answer.headers.get('upload-offset'), '5')
    assert.equal(answer.headers.get('etag'), last.headers.get('etag'))
    assert.equal(answer.headers.get('broker-position'), last.headers.get('broker-position'))
  }
})

test('a part at another offset is refused with the offset', async () => {
  const url = await create(broker, 'offset', 10)
  await send(broker, url, 0, '123')
  for (const offset of [0, 2, 4, 10]) {
    const answer = await send(broker, url, offset, '4')
    assert.equal(answer.status, 409)
    const problem = await problemOf(answer)
    assert.equal(problem.code, 'UPLOAD_OFFSET_CONFLICT')
    assert.equal(problem['offset'], 3)
  }
})

test('more than was announced is refused, and the upload goes on', async () => {
  const url = await create(broker, 'more', 4)
  assert.equal((await problemOf(await send(broker, url, 0, '12345'))).code, 'TOO_LARGE')
  const stream = ReadableStream.from([Buffer.from('12'), Buffer.from('3456')])
  const chunked = await send(broker, url, 0, stream)
  assert.equal((await problemOf(chunked)).code, 'TOO_LARGE')
  const offset = Number(await offsetOf(url))
  assert.equal((await send(broker, url, offset, '1234'.slice(offset))).status, 204)
  assert.equal(await content('more'), '1234')
})

for (const [name, size] of [
  ['sha1', 1000],
  ['sha256', 200_000],
  ['sha512', 200_000],
] as const) {
  test(`a part with a wrong ${name} is discarded, and comes again`, async () => {
    const bytes = randomBytes(size)
    const url = await create(broker, `sums/${name}`, size + 1)
    const stated = (part: Uint8Array) => ({
      'upload-checksum': `${name} ${createHash(name).update(part).digest('base64')}`,
    })
    assert.equal((await send(broker, url, 0, bytes.subarray(0, 1))).status, 204)
    const rest = bytes.subarray(1)
    const wrong = await send(broker, url, 1, rest, { headers: stated(bytes) })
    assert.equal(wrong.status, 460)
    assert.equal((await problemOf(wrong)).code, 'CHECKSUM_MISMATCH')
    assert.equal(await offsetOf(url), '1')
    assert.equal((await send(broker, url, 1, rest, { headers: stated(rest) })).status, 204)
    const last = await send(broker, url, size, '!')
    assert.equal(last.headers.get('content-location'), `/files/sums/${name}`)
    const file = await broker.request(`/files/sums/${name}`, { as: 'admin' })
    const whole = Buffer.concat([bytes, Buffer.from('!')])
    assert.equal(sha256(Buffer.from(await file.arrayBuffer())), sha256(whole))
    const digest = createHash('sha256').update(whole).digest('base64url')
    assert.equal(last.headers.get('etag'), `"sha256-${digest}"`)
  })
}

test('the digest of the whole is verified at the end, however it was stated', async () => {
  const hex = sha256(Buffer.from('right'))
  const digest = Buffer.from(hex, 'hex').toString('base64')
  const ways: Record<string, string>[] = [
    { 'repr-digest': `sha-256=:${digest}:` },
    { 'x-checksum-sha256': hex },
    { 'upload-metadata': metadataOf({ path: 'digest', sha256: hex }) },
  ]
  for (const headers of ways) {
    const bad = await create(broker, 'digest', 5, { headers })
    assert.equal((await problemOf(await send(broker, bad, 0, 'wrong'))).code, 'DIGEST_MISMATCH')
    assert.equal((await send(broker, bad, 5, '')).status, 404, 'it is gone')
    const good = await create(broker, 'digest', 5, { headers })
    assert.equal((await send(broker, good, 0, 'right')).status, 204)
  }
})

test('an upload that is ended is gone, and its bytes', async () => {
  const before = await leftovers()
  const url = await create(broker, 'ended', 10)
  await send(broker, url, 0, '123')
  const ended = await broker.request(url, { as: 'admin', method: 'DELETE', headers: TUS })
  assert.equal(ended.status, 204)
  assert.equal((await send(broker, url, 3, '4')).status, 404)
  assert.deepEqual(await leftovers(), before)
})

test('POST stands for the methods that a client cannot send', async () => {
  const url = await create(broker, 'override', 5)
  const headers = { ...TUS, 'content-type': 'application/offset+octet-stream' }
  const patch = await broker.request(url, {
    as: 'admin',
    method: 'POST',
    body: '123',
    headers: { ...headers, 'upload-offset': '0', 'x-http-method-override': 'PATCH' },
  })
  assert.equal(patch.headers.get('upload-offset'), '3')
  const ended = await broker.request(url, {
    as: 'admin',
    method: 'POST',
    headers: { ...TUS, 'x-http-method-override': 'DELETE' },
  })
  assert.equal(ended.status, 204)
  const other = await broker.request(url, { as: 'admin', method: 'POST', headers: TUS })
  assert.equal(other.status, 405)
})

test('another version of the protocol is refused with the versions that are understood', async () => {
  const tries: Record<string, string>[] = [{}, { 'tus-resumable': '0.2.2' }]
  for (const version of tries) {
    const answer = await broker.request('/uploads', {
      as: 'admin',
      method: 'POST',
      headers: version,
    })
    assert.equal(answer.status, 412)
    assert.equal(answer.headers.get('tus-version'), '1.0.0')
    assert.equal((await problemOf(answer)).code, 'TUS_VERSION_UNSUPPORTED')
  }
})

const path = { 'upload-metadata': metadataOf({ path: 'x' }) }

const REFUSED: readonly (readonly [why: string, code: string, headers: Record<string, string>])[] =
  [
    ['no metadata', 'PATH_INVALID', { 'upload-metadata': '' }],
    [
      'a path outside the rules',
      'PATH_INVALID',
      { 'upload-metadata': metadataOf({ path: '../x' }) },
    ],
    ['a hidden name', 'PATH_INVALID', { 'upload-metadata': metadataOf({ path: 'a/.x' }) }],
    ['metadata that is no base64', 'REQUEST_INVALID', { 'upload-metadata': 'path x!' }],
    ['no length', 'REQUEST_INVALID', { 'upload-length': '' }],
    ['a negative length', 'REQUEST_INVALID', { 'upload-length': '-1' }],
    ['a length beyond all numbers', 'REQUEST_INVALID', { 'upload-length': '9'.repeat(17) }],
    ['a length to come', 'REQUEST_INVALID', { 'upload-defer-length': '1' }],
    ['a length beyond the limit', 'TOO_LARGE', { 'upload-length': String(2 ** 20 + 1) }],
    ['a part of a concatenation', 'REQUEST_INVALID', { 'upload-concat': 'partial' }],
    ['a digest of what', 'DIGEST_INVALID', { ...path, 'content-digest': 'sha-256=:AAAA:' }],
    ['a condition that does not hold', 'PRECONDITION_FAILED', { 'if-match': '*' }],
    ['a condition that cannot be read', 'REQUEST_INVALID', { 'if-match': 'x' }],
  ]

for (const [why, code, headers] of REFUSED) {
  test(`a creation with ${why} is refused`, async () => {
    const answer = await askToCreate(broker, 'refused', 5, { headers })
    assert.equal((await problemOf(answer)).code, code)
    assert.equal(answer.headers.get('tus-resumable'), '1.0.0')
  })
}

const BAD_PARTS: readonly (readonly [
  why: string,
  code: string,
  headers: Record<string, string>,
])[] = [
  ['another type', 'MEDIA_TYPE_UNSUPPORTED', { 'content-type': 'application/json' }],
  ['no offset', 'REQUEST_INVALID', { 'upload-offset': '' }],
  ['an unknown checksum', 'DIGEST_INVALID', { 'upload-checksum': 'md5 AAAA' }],
  ['a checksum of a prototype', 'DIGEST_INVALID', { 'upload-checksum': 'constructor AAAA' }],
  ['a short checksum', 'DIGEST_INVALID', { 'upload-checksum': 'sha1 AAAA' }],
]

for (const [why, code, headers] of BAD_PARTS) {
  test(`a part with ${why} is refused`, async () => {
    const url = await create(broker, 'bad-part', 5)
    assert.equal((await problemOf(await send(broker, url, 0, '12345', { headers }))).code, code)
    assert.equal(await offsetOf(url), '0')
  })
}

test('a body of another type on a creation is refused', async () => {
  const headers = { 'content-type': 'text/plain' }
  const answer = await askToCreate(broker, 'x', 5, { headers, body: '12345' })
  assert.equal((await problemOf(answer)).code, 'MEDIA_TYPE_UNSUPPORTED')
})

async function content(path: string): Promise<string> {
  return (await broker.request(`/files/${path}`, { as: 'admin' })).text()
}

async function offsetOf(url: string): Promise<string | null> {
  const head = await broker.request(url, { as: 'admin', method: 'HEAD', headers: TUS })
  return head.headers.get('upload-offset')
}

async function problemOf(answer: Response): Promise<Record<string, unknown> & { code: string }> {
  assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
  return (await answer.json()) as Record<string, unknown> & { code: string }
}
