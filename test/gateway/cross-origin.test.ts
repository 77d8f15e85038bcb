import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { metadataOf, TUS } from '../support/tus.ts'

const ORIGIN = 'https://dash.example'

let broker: TestGateway

before(async () => {
  broker = await startGateway({ origins: ORIGIN })
})
after(() => broker[Symbol.asyncDispose]())

test('a page of a listed origin may upload in parts, and read what it needs of the answers', async () => {
  const preflight = await fetch(`${broker.url}/uploads/x`, {
    method: 'OPTIONS',
    headers: {
      origin: ORIGIN,
      'access-control-request-method': 'PATCH',
      'access-control-request-headers': 'authorization,tus-resumable,upload-offset',
    },
  })
  assert.equal(preflight.status, 204)
  assert.equal(preflight.headers.get('access-control-allow-origin'), ORIGIN)
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /PATCH/)
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /upload-offset/)

  const created = await broker.request('/uploads', {
    as: 'admin',
    method: 'POST',
    headers: {
      ...TUS,
      origin: ORIGIN,
      'upload-length': '5',
      'upload-metadata': metadataOf({ path: 'x' }),
    },
  })
  assert.equal(created.status, 201)
  assert.equal(created.headers.get('access-control-allow-origin'), ORIGIN)
  const exposed = (created.headers.get('access-control-expose-headers') ?? '').split(', ')
  for (const name of ['Location', 'Upload-Offset', 'Tus-Resumable', 'Content-Location', 'ETag']) {
    assert.ok(exposed.includes(name), name)
  }
})

test('a page of another origin is told nothing', async () => {
  const preflight = await fetch(`${broker.url}/uploads`, {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  assert.equal(preflight.headers.get('access-control-allow-origin'), null)
})

test('an OPTIONS that is no preflight reaches its route', async () => {
  const uploads = await fetch(`${broker.url}/uploads`, { method: 'OPTIONS' })
  assert.equal(uploads.status, 204)
  assert.equal(uploads.headers.get('tus-version'), '1.0.0')
  const files = await fetch(`${broker.url}/files/x`, { method: 'OPTIONS' })
  assert.match(files.headers.get('allow') ?? '', /PUT/)
})
