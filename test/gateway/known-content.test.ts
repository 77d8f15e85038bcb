import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { run } from '../support/broker-process.ts'
import { startGateway, type TestGateway, TOKENS } from '../support/gateway.ts'

const CONTENT = Buffer.alloc(5_000_000, 'a large artifact')
const DIGEST = `sha-256=:${createHash('sha256').update(CONTENT).digest('base64')}:`

interface Outcome {
  readonly status: number
  /** Whether the body was asked for. */
  readonly isAsked: boolean
  readonly body: Readonly<Record<string, unknown>>
}

describe('an upload whose body is held back', () => {
  let broker: TestGateway

  before(async () => {
    broker = await startGateway()
    const body = CONTENT
    for (const path of ['builds/jenkins/source', 'secret/source']) {
      const put = await broker.request(`/files/${path}`, { method: 'PUT', body, as: 'admin' })
      assert.equal(put.status, 201)
    }
  })

  after(() => broker[Symbol.asyncDispose]())

  async function send(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    { body = CONTENT, as = 'admin', method = 'PUT' } = {},
  ): Promise<Outcome> {
    const token = as === 'admin' ? broker.adminToken : TOKENS.jenkins
    const sent = request(`${broker.url}${path}`, {
      method,
      agent: false,
      headers: {
        'x-broker-token': token,
        expect: '100-continue',
        'content-length': body.length,
        ...headers,
      },
    })
    let isAsked = false
    sent.on('continue', () => {
      isAsked = true
      sent.end(body)
    })
    sent.flushHeaders()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const text = Buffer.concat(await response.toArray()).toString()
    sent.destroy()
    return { status: response.statusCode ?? 0, isAsked, body: JSON.parse(text || '{}') }
  }

  it('is answered without it when its content is here and may be read', async () => {
    const stated = { 'repr-digest': DIGEST }
    const first = await send('/files/copies/a', stated)
    assert.deepEqual([first.status, first.isAsked], [201, false])
    assert.equal(first.body['size'], CONTENT.length)
    assert.match(String(first.body['position']), /^\w+:\d+$/)
    const got = await broker.request('/files/copies/a', { as: 'admin' })
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), CONTENT)
    const again = await send('/files/copies/a', stated)
    assert.deepEqual([again.status, again.isAsked, again.body['position']], [200, false, null])
    const hex = createHash('sha256').update(CONTENT).digest('hex')
    const byChecksum = await send('/files/copies/b', { 'x-checksum-sha256': hex })
    assert.deepEqual([byChecksum.status, byChecksum.isAsked], [201, false])
  })

  it('is asked for it where that is not certain', async () => {
    const other = `sha-512=:${createHash('sha512').update(CONTENT).digest('base64')}:`
    const rows: readonly Record<string, string>[] = [
      {},
      { 'repr-digest': other },
      { 'repr-digest': `${DIGEST}, ${other}` },
    ]
    for (const [i, headers] of rows.entries()) {
      const { status, isAsked } = await send(`/files/asked/${i}`, headers)
      assert.deepEqual([status, isAsked], [201, true])
    }
    const body = Buffer.from('nobody has it')
    const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
    const unknown = await send('/files/asked/new', { 'repr-digest': digest }, { body })
    assert.deepEqual([unknown.status, unknown.isAsked], [201, true])
  })

  it('is asked for it by who may not read what is here', async () => {
    const body = Buffer.concat([CONTENT, CONTENT])
    const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
    const secret = { method: 'PUT', body, as: 'admin' } as const
    await broker.request('/files/secret/other', secret)
    const stated = { 'repr-digest': digest }
    const jenkins = await send('/files/builds/jenkins/x', stated, { body, as: 'jenkins' })
    assert.deepEqual([jenkins.status, jenkins.isAsked], [201, true])
    const own = await send('/files/builds/jenkins/y', stated, { body, as: 'jenkins' })
    assert.deepEqual([own.status, own.isAsked], [201, false])
  })

  it('is refused before it, whatever is wrong', async () => {
    const rows: readonly (readonly [number, string, Record<string, string>, string?])[] = [
      [412, '/files/copies/a', { 'if-none-match': '*' }],
      [412, '/files/copies/none', { 'if-match': '*', 'repr-digest': DIGEST }],
      [412, '/files/builds/jenkins/source', { 'repr-digest': DIGEST, 'if-match': '"x"' }],
      [403, '/files/secret/x', { 'repr-digest': DIGEST }, 'jenkins'],
      [400, '/files/x', { 'repr-digest': 'sha-256=x' }],
      [400, '/files/a//b', {}],
    ]
    for (const [expected, path, headers, as = 'admin'] of rows) {
      const { status, isAsked } = await send(path, headers, { as })
      assert.deepEqual([status, isAsked], [expected, false], path)
    }
  })

  it('is asked for it at every other address, as before', async () => {
    const options = { body: Buffer.from('{}'), method: 'POST' }
    const json = { 'content-type': 'application/json' }
    const published = await send('/events/ci/x', json, options)
    assert.deepEqual([published.status, published.isAsked], [201, true])
  })

  it('takes no header fields from others than the front', async () => {
    const headers = { 'x-request-id': 'forged', 'x-client-verify': 'SUCCESS' }
    const sent = request(`${broker.url}/livez`, { headers: { ...headers, expect: '100-continue' } })
    const [response] = (await once(sent.end(), 'response')) as [IncomingMessage]
    response.resume()
    assert.notEqual(response.headers['x-request-id'], 'forged')
  })

  it('has the mode of any other upload', async () => {
    const at = (path: string) => join(broker.directory, 'data/files', path)
    await chmod(at('builds/jenkins/source'), 0o600)
    await broker.request('/files/sync', { method: 'POST', as: 'admin' })
    const { status } = await send('/files/modes/copy', { 'repr-digest': DIGEST })
    assert.equal(status, 201)
    const { mode } = await stat(at('modes/copy'))
    assert.equal(mode & 0o777, (await stat(at('secret/source'))).mode & 0o777)
  })

  it('is not sent by curl', async () => {
    const file = join(broker.directory, 'artifact')
    await writeFile(file, CONTENT)
    const put = async (path: string, ...headers: string[]) => {
      const { stdout } = await run('curl', [
        ...['-sS', '-T', file, '-o', '/dev/null', '-w', '%{http_code} %{size_upload}'],
        ...['-H', `X-Broker-Token: ${broker.adminToken}`],
        ...headers.flatMap((header) => ['-H', header]),
        `${broker.url}/files/${path}`,
      ])
      return stdout
    }
    const stated = `Repr-Digest: ${DIGEST}`
    assert.equal(await put('curl/a', stated), '201 0')
    assert.equal(await put('curl/a', stated), '200 0')
    assert.equal(await put('curl/a'), `200 ${CONTENT.length}`)
    assert.equal(await put('curl/a', 'If-None-Match: *'), '412 0')
  })
})
