import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { sha256, startGateway, type TestGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { askToCreate, create, send, TUS } from '../support/tus.ts'

let broker: TestGateway

before(async () => {
  broker = await startGateway()
})
after(() => broker[Symbol.asyncDispose]())
beforeEach(() => putUsers(USERS_XML))

const JENKINS = { as: 'jenkins' } as const
const MINE = 'builds/jenkins'

test('an upload is there for its user alone', async () => {
  const url = await create(broker, `${MINE}/own`, 5, JENKINS)
  for (const as of ['admin', 'reader', undefined] as const) {
    for (const method of ['HEAD', 'DELETE', 'PATCH']) {
      const answer =
        method === 'PATCH'
          ? await send(broker, url, 0, '12345', { as })
          : await broker.request(url, { method, headers: TUS, ...(as && { as }) })
      assert.equal(answer.status, 404, `${method} as ${as}`)
    }
  }
  assert.equal((await send(broker, url, 0, '12345', JENKINS)).status, 204)
})

test('who may not create is refused before a byte is sent', async () => {
  const denied = await askToCreate(broker, 'elsewhere', 5, JENKINS)
  assert.equal(denied.status, 403)
  assert.equal(((await denied.json()) as { missing: string }).missing, 'create')
  assert.equal((await askToCreate(broker, 'x', 5, { as: undefined })).status, 401)
})

test('a right that is gone refuses the next part, and an upload goes on when it is back', async () => {
  const url = await create(broker, `${MINE}/paused`, 5, JENKINS)
  assert.equal((await send(broker, url, 0, '123', JENKINS)).status, 204)
  await putUsers(USERS_XML.replace('list read create"', 'list read"'))
  assert.equal((await send(broker, url, 3, '45', JENKINS)).status, 403)
  await putUsers(USERS_XML)
  assert.equal((await send(broker, url, 3, '45', JENKINS)).status, 204)
})

test('a right that is taken away while the last part arrives leaves no file', async () => {
  const url = await create(broker, `${MINE}/withdrawn`, 900_000, JENKINS)
  const part = await beginPart(url, 900_000)
  await putUsers(USERS_XML.replace('list read create"', 'list read"'))
  assert.equal((await part.finish()).status, 403)
  assert.equal(await statusOf(`${MINE}/withdrawn`), 404)
  assert.equal((await head(url, TOKENS.jenkins)).status, 404)
})

test('a whole upload whose token was removed becomes a file for another token of its user', async () => {
  const url = await create(broker, `${MINE}/renewed`, 900_000, JENKINS)
  const part = await beginPart(url, 900_000)
  const token = 'dbk_jenkins-has-another-0000000000000000000'
  await putUsers(USERS_XML.replace(sha256(TOKENS.jenkins), sha256(token)))
  assert.equal((await part.finish()).status, 401)
  assert.equal(await statusOf(`${MINE}/renewed`), 404)
  const asked = await head(url, token)
  assert.equal(asked.headers.get('content-location'), `/files/${MINE}/renewed`)
  assert.equal(await statusOf(`${MINE}/renewed`), 200)
})

test('what must not be replaced is not, when it appears meanwhile', async () => {
  const url = await create(broker, `${MINE}/raced`, 5, JENKINS)
  await put(`${MINE}/raced`, 'other')
  const last = await send(broker, url, 0, '12345', JENKINS)
  assert.equal(last.status, 403)
  assert.equal(((await last.json()) as { missing: string }).missing, 'replace')
})

test('the same content that appears meanwhile is no conflict and no event', async () => {
  const url = await create(broker, `${MINE}/twice`, 5, JENKINS)
  await put(`${MINE}/twice`, '12345')
  const last = await send(broker, url, 0, '12345', JENKINS)
  assert.equal(last.status, 204)
  assert.equal(last.headers.get('content-location'), `/files/${MINE}/twice`)
  assert.equal(last.headers.get('broker-position'), null)
  assert.equal((await readdir(temporary())).includes(url.replace('/uploads/', '')), false)
})

test('the conditions of the creation hold at the end', async () => {
  const etag = await put('conditions', 'one')
  assert.equal((await askToCreate(broker, 'conditions', 3, ifNoneMatch('*'))).status, 412)
  const url = await create(broker, 'conditions', 3, { headers: { 'if-match': etag } })
  const late = await create(broker, 'conditions', 3, { headers: { 'if-match': etag } })
  assert.equal((await send(broker, url, 0, 'two')).status, 204)
  const refused = await send(broker, late, 0, 'not')
  assert.equal(refused.status, 412)
  assert.equal(((await refused.json()) as { code: string }).code, 'PRECONDITION_FAILED')
  assert.equal((await head(late, broker.adminToken)).status, 404)

  const fresh = await create(broker, 'fresh', 3, ifNoneMatch('*'))
  await put('fresh', 'one')
  assert.equal((await send(broker, fresh, 0, 'two')).status, 412)
})

test('who comes again cuts off a part that is still on its way, and nothing of it is lost', async () => {
  const content = randomBytes(1_200_000)
  const url = await create(broker, 'cut', content.length)
  const part = await beginPart(
    url,
    content.length,
    broker.adminToken,
    content.subarray(0, 1_000_000),
  )
  const asked = await head(url, broker.adminToken)
  const offset = Number(asked.headers.get('upload-offset'))
  assert.ok(offset > 0 && offset <= 1_000_000, String(offset))
  await assert.rejects(part.finish())
  assert.equal((await send(broker, url, offset, content.subarray(offset))).status, 204)
  const file = await broker.request('/files/cut', { as: 'admin' })
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), content)
})

test('uploads go on after a restart, and an orderly end does not wait for them', async () => {
  const content = randomBytes(1_200_000)
  const first = await startGateway()
  const url = await create(first, 'restart', content.length)
  const target = { url: first.url, token: first.adminToken, directory: first.directory }
  const part = await beginPart(
    url,
    content.length,
    target.token,
    content.subarray(0, 700_000),
    target,
  )
  await Promise.all([first.gateway.drain(0), assert.rejects(part.finish())])
  await using second = await first.restart()
  const asked = await second.request(url, { as: 'admin', method: 'HEAD', headers: TUS })
  const offset = Number(asked.headers.get('upload-offset'))
  assert.ok(offset > 0 && offset <= 700_000, String(offset))
  const last = await send(second, url, offset, content.subarray(offset))
  const digest = createHash('sha256').update(content).digest('base64url')
  assert.equal(last.headers.get('etag'), `"sha256-${digest}"`)
})

interface Target {
  readonly url: string
  readonly token: string
  readonly directory: string
}

/** Sends some of a part, and resolves when it is on the disk; `finish` sends zeros for the rest. */
async function beginPart(
  url: string,
  length: number,
  token: string = TOKENS.jenkins,
  some: Uint8Array = Buffer.alloc(700_000),
  target: Pick<Target, 'url' | 'directory'> = broker,
) {
  const sent = request(target.url + url, {
    method: 'PATCH',
    headers: {
      ...TUS,
      authorization: `Bearer ${token}`,
      'content-type': 'application/offset+octet-stream',
      'content-length': length,
      'upload-offset': '0',
    },
  })
  const answered = once(sent, 'response')
  answered.catch(() => undefined)
  sent.write(some)
  const file = join(target.directory, 'data/state/volumes/default/temp', url.slice(9))
  while ((await stat(file)).size === 0) await new Promise((resolve) => setImmediate(resolve))
  return {
    async finish(): Promise<{ status: number | undefined }> {
      if (!sent.destroyed) sent.end(Buffer.alloc(length - some.length))
      const [response] = await answered
      response.resume()
      return { status: response.statusCode }
    },
  }
}

function head(url: string, token: string): Promise<Response> {
  const headers = { ...TUS, authorization: `Bearer ${token}` }
  return fetch(broker.url + url, { method: 'HEAD', headers })
}

function ifNoneMatch(value: string) {
  return { headers: { 'if-none-match': value } }
}

async function put(path: string, body: string): Promise<string> {
  const answer = await broker.request(`/files/${path}`, { as: 'admin', method: 'PUT', body })
  return answer.headers.get('etag') ?? ''
}

async function putUsers(xml: string): Promise<void> {
  await put('config/broker_users.xml', xml)
}

async function statusOf(path: string): Promise<number> {
  return (await broker.request(`/files/${path}`, { as: 'admin', method: 'HEAD' })).status
}

function temporary(): string {
  return join(broker.directory, 'data/state/volumes/default/temp')
}
