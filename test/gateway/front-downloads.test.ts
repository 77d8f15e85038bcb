import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Answer, assertProblem, Front } from '../support/front.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

describe('downloads by the front', { skip: NGINX_MISSING }, () => {
  const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => 97 + (i % 26)))
  const text = content.toString()
  let front: Front
  before(async () => {
    front = await Front.start()
    const serve = join(front.dir, 'volumes/default/serve')
    await mkdir(serve, { recursive: true })
    await writeFile(join(serve, 'link'), content)
  })
  after(async () => {
    await front[Symbol.asyncDispose]()
  })

  function get(headers: Readonly<Record<string, string>>, method = 'GET'): Promise<Answer> {
    return front.ask('/files/download/link', { headers, method })
  }

  it('carry the headers of the broker', async () => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await get({}, method)
      assert.equal(answer.status, 200)
      assert.equal(answer.body, method === 'GET' ? text : '')
      const { headers } = answer
      assert.equal(headers['content-length'], '1000')
      assert.equal(headers['content-type'], 'text/x-ours')
      assert.equal(headers.etag, '"sha256-ours"')
      assert.equal(headers['repr-digest'], 'sha-256=:b3Vycw==:')
      assert.equal(headers['last-modified'], 'Wed, 21 Oct 2015 07:28:00 GMT')
      assert.equal(headers['content-security-policy'], 'sandbox')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['x-accel-redirect'], undefined)
    }
    const log = await readFile(join(front.dir, 'run/access.log'), 'utf8')
    assert.match(log, /"path":"\/files\/download\/link"/)
    assert.doesNotMatch(log, /serve/)
  })

  it('serve ranges, several of them, and If-Range with our ETag', async () => {
    const one = await get({ range: 'bytes=10-19' })
    assert.equal(one.status, 206)
    assert.equal(one.body, text.slice(10, 20))
    assert.equal(one.headers['content-range'], 'bytes 10-19/1000')
    assert.equal(one.headers.etag, '"sha256-ours"')
    const two = await get({ range: 'bytes=0-1,5-6' })
    assert.equal(two.status, 206)
    assert.match(String(two.headers['content-type']), /^multipart\/byteranges/)
    const nine = Array.from({ length: 9 }, (_, i) => `${i * 10}-${i * 10 + 1}`).join(',')
    assert.equal((await get({ range: `bytes=${nine}` })).status, 200)
    const same = await get({ range: 'bytes=0-1', 'if-range': '"sha256-ours"' })
    assert.equal(same.status, 206)
    const other = await get({ range: 'bytes=0-1', 'if-range': '"sha256-other"' })
    assert.equal(other.status, 200)
    assertProblem(await get({ range: 'bytes=2000-' }), 416, 'RANGE_NOT_SATISFIABLE')
  })

  it('leave conditions to the broker', async () => {
    assert.equal((await get({ 'if-none-match': '"sha256-ours"' })).status, 200)
    assert.equal((await get({ 'if-modified-since': new Date().toUTCString() })).status, 200)
  })

  it('tell a link that is gone as a failure of the server', async () => {
    assertProblem(await front.ask('/files/download/none'), 503, 'UNAVAILABLE')
    const outside = await front.ask('/files/download/../../x')
    assertProblem(outside, 404, 'NOT_FOUND')
  })
})
