import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { TOKENS } from '../support/gateway.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

const POLICY = {
  quota: '1MiB',
  userQuota: '600KiB',
  uploadsAtOnce: 2,
  rules: [{ paths: 'releases/**', conditional: true }],
}

interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly code: unknown
}

describe('the limits of a volume', { skip: NGINX_MISSING }, () => {
  const cleanup = new AsyncDisposableStack()
  let front: BrokerBehindNginx
  let admin: string

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'broker-policy-'))
    cleanup.defer(() => rm(directory, { recursive: true }))
    const file = join(directory, 'files.json')
    await writeFile(file, JSON.stringify(POLICY))
    front = cleanup.use(await BrokerBehindNginx.start(`--file-policy=${file}`))
    admin = await front.broker.adminToken()
  })

  after(() => cleanup.disposeAsync())

  function open(url: string, path: string, headers: OutgoingHttpHeaders, as = admin) {
    return request(`${url}/files/${path}`, {
      method: 'PUT',
      agent: false,
      headers: { 'x-broker-token': as, ...headers },
    })
  }

  async function answerOf(sent: ClientRequest): Promise<Answer> {
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const body = Buffer.concat(await response.toArray()).toString()
    const problem = body === '' ? {} : JSON.parse(body)
    const { statusCode: status = 0, headers } = response
    return { status, retryAfter: headers['retry-after'], code: problem.code }
  }

  async function put(url: string, path: string, bytes: number, as = admin): Promise<Answer> {
    return answerOf(open(url, path, { 'content-length': bytes }, as).end(Buffer.alloc(bytes, path)))
  }

  for (const through of ['the broker', 'Nginx']) {
    const at = () => (through === 'Nginx' ? front.url : front.broker.url)

    it(`refuse what is announced and has no room before its body, through ${through}`, async () => {
      const sent = open(at(), 'builds/large', { 'content-length': 64 * 2 ** 20 })
      sent.flushHeaders()
      const { status, code } = await answerOf(sent)
      assert.deepEqual([status, code], [507, 'QUOTA_EXCEEDED'])
      sent.destroy()
    })

    it(`refuse what is too much while it comes, through ${through}`, async () => {
      const sent = open(at(), 'builds/large', { 'transfer-encoding': 'chunked' })
      for (let i = 0; i < 8; i += 1) sent.write(Buffer.alloc(256 * 1024))
      const { status, code } = await answerOf(sent.end())
      assert.deepEqual([status, code], [507, 'QUOTA_EXCEEDED'])
    })

    it(`need a condition where it is required before the body, through ${through}`, async () => {
      const sent = open(at(), 'releases/x', { 'content-length': 1000 })
      sent.flushHeaders()
      const { status, code } = await answerOf(sent)
      assert.deepEqual([status, code], [428, 'PRECONDITION_REQUIRED'])
      sent.destroy()
    })

    it(`refuse more bodies than may come at once, through ${through}`, async () => {
      const held = ['a', 'b', 'c'].map((name) => {
        const sent = open(at(), `builds/${name}`, { 'content-length': 10 })
        sent.write('12345')
        return { sent, answer: answerOf(sent) }
      })
      // Whichever comes last: the two before it wait for the rest of their bodies.
      const refused = await Promise.race(
        held.map(async (upload) => ({ upload, answer: await upload.answer })),
      )
      const expected = { status: 429, retryAfter: '1', code: 'TOO_MANY_REQUESTS' }
      assert.deepEqual(refused.answer, expected)
      refused.upload.sent.destroy()
      for (const upload of held) {
        if (upload === refused.upload) continue
        upload.sent.end('67890')
        assert.ok((await upload.answer).status < 300)
      }
    })
  }

  it('count what each user uploaded, also after a restart', async () => {
    const { jenkins } = TOKENS
    const { url } = front
    assert.equal((await put(url, 'builds/jenkins/a', 500_000, jenkins)).status, 201)
    const more = () => put(url, 'builds/jenkins/b', 200_000, jenkins)
    assert.equal((await more()).code, 'QUOTA_EXCEEDED')
    await front.broker.kill('SIGKILL')
    await front.broker.restart()
    assert.equal((await more()).code, 'QUOTA_EXCEEDED')
    assert.equal((await put(url, 'builds/other', 200_000)).status, 201)
    assert.equal((await put(url, 'builds/jenkins/a', 400_000)).status, 200)
    assert.equal((await more()).status, 201)
  })

  it('leave the barrier to be asked through Nginx', async () => {
    const headers = { 'x-broker-token': admin }
    const answer = await fetch(`${front.url}/files/sync`, { method: 'POST', headers })
    assert.deepEqual(Object.keys((await answer.json()) as object), ['position'])
    const anonymous = await fetch(`${front.url}/files/sync`, { method: 'POST' })
    assert.equal(anonymous.status, 401)
  })
})
