import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { type ClientRequest, request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DetailedError, Upload } from 'tus-js-client'
import { BrokerBehindNginx, type BrokerProcess, run } from '../support/broker-process.ts'
import { FAULTS, FaultProxy } from '../support/fault-proxy.ts'
import { metadataOf, TUS } from '../support/tus.ts'

const MIB = 2 ** 20

let front: BrokerBehindNginx
let broker: BrokerProcess
let token: string

before(async () => {
  front = await BrokerBehindNginx.start()
  broker = front.broker
  token = await broker.adminToken()
})
after(() => front[Symbol.asyncDispose]())

interface ClientOptions {
  readonly chunkSize?: number
  readonly retryDelays?: number[]
  readonly onProgress?: (sent: number) => void
}

/** Uploads with tus-js-client; resolves with the last answer. */
function upload(url: string, path: string, content: Buffer, options: ClientOptions = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<{ etag: string | undefined }>()
  const client = new Upload(content, {
    endpoint: `${url}/uploads`,
    metadata: { path, filename: 'of no account' },
    headers: { authorization: `Bearer ${token}` },
    onSuccess: ({ lastResponse }) => resolve({ etag: lastResponse.getHeader('etag') }),
    onError: reject,
    ...options,
  })
  client.start()
  return promise
}

async function assertStored(path: string, content: Buffer): Promise<void> {
  const answer = await fetch(`${broker.url}/files/${path}`, { headers: authorized() })
  assert.equal(answer.status, 200)
  const bytes = Buffer.from(await answer.arrayBuffer())
  assert.equal(sha256(bytes), sha256(content))
  const tag = Buffer.from(sha256(content), 'hex').toString('base64url')
  assert.equal(answer.headers.get('etag'), `"sha256-${tag}"`)
}

test('tus-js-client uploads in one part and in many, straight and through Nginx', async () => {
  const content = randomBytes(3 * MIB + 17)
  for (const [name, url] of Object.entries({ straight: broker.url, nginx: front.url })) {
    for (const chunkSize of [Number.POSITIVE_INFINITY, 700_001]) {
      const path = `clients/${name}-${chunkSize}`
      const { etag } = await upload(url, path, content, { chunkSize })
      assert.match(etag ?? '', /^"sha256-/)
      await assertStored(path, content)
    }
  }
})

for (const fault of FAULTS) {
  test(`tus-js-client goes on after its connection broke again and again (${fault})`, async () => {
    const plan = () => ({
      fault,
      counts: 'client' as const,
      afterBytes: proxy.faults >= 4 ? Number.POSITIVE_INFINITY : MIB,
      latencyMs: 0,
    })
    await using proxy: FaultProxy = await FaultProxy.start(broker.port, plan)
    const content = randomBytes(6 * MIB)
    const uploading = upload(`http://127.0.0.1:${proxy.port}`, `faults/${fault}`, content, {
      retryDelays: Array.from({ length: 40 }, () => 10),
    })
    // Nothing ends a connection that is frozen, and this client waits for it without end.
    if (fault === 'freeze') {
      while (proxy.faults === 0) await turn()
      proxy.heal()
    }
    await uploading
    await assertStored(`faults/${fault}`, content)
    assert.ok(proxy.faults > 0)
  })
}

test('tus-js-client goes on when Nginx stands between it and a broker that is killed', async () => {
  const content = randomBytes(48 * MIB)
  let restarted: Promise<void> | undefined
  const onProgress = (sent: number) => {
    if (sent < content.length / 3) return
    restarted ??= broker.kill('SIGKILL').then(() => broker.restart())
    restarted.catch(() => undefined)
  }
  const retryDelays = Array.from({ length: 200 }, () => 50)
  await upload(front.url, 'killed/client', content, { onProgress, retryDelays })
  assert.notEqual(restarted, undefined)
  await restarted
  await assertStored('killed/client', content)
})

test('after kill -9 an upload goes on where the disk has it, with the right digest', async () => {
  const content = randomBytes(4 * MIB)
  const path = 'killed/part'
  const url = await create(path, content.length, { 'x-checksum-sha256': sha256(content) })
  const body = await beginPart(url, 0, content.length)
  body.write(content.subarray(0, 3 * MIB))
  const file = temporaryFile(url)
  while ((await stat(file)).size < 2 * MIB) await turn()
  await broker.kill('SIGKILL')
  await broker.restart()
  const offset = await offsetOf(url)
  assert.equal(offset, (await stat(file)).size)
  assert.ok(offset >= 2 * MIB && offset <= 3 * MIB, String(offset))
  const last = await send(url, offset, content.subarray(offset))
  assert.equal(last.status, 204)
  await assertStored(path, content)
  await assert.rejects(stat(file), { code: 'ENOENT' })
})

test('after kill -9 nothing counts of a part whose checksum was not verified', async () => {
  const content = randomBytes(3 * MIB)
  const sum = createHash('sha1').update(content.subarray(MIB)).digest('base64')
  const checksum = { 'upload-checksum': `sha1 ${sum}` }
  const url = await create('killed/checksum', content.length)
  assert.equal((await send(url, 0, content.subarray(0, MIB))).status, 204)
  const body = await beginPart(url, MIB, 2 * MIB, checksum)
  body.write(content.subarray(MIB, 2.5 * MIB))
  const file = temporaryFile(url)
  while ((await stat(file)).size < 2 * MIB) await turn()
  await broker.kill('SIGKILL')
  await broker.restart()
  assert.equal(await offsetOf(url), MIB)
  assert.equal((await send(url, MIB, content.subarray(MIB), checksum)).status, 204)
  await assertStored('killed/checksum', content)
})

test('a refusal behind a large body reaches the client through Nginx', async () => {
  const url = await create('front/refused', 64 * MIB)
  const body = randomBytes(32 * MIB)
  const part = (headers: Record<string, string>, target = url) =>
    send(target, 0, body, headers, front.url)
  const cases: readonly (readonly [number, Promise<Response>])[] = [
    [409, part({ 'upload-offset': '5' })],
    [404, part({}, '/uploads/7d9f0d4c-0000-4000-8000-000000000000')],
    [412, part({ 'tus-resumable': '0.2.2' })],
    [415, part({ 'content-type': 'application/json' })],
    [401, part({ authorization: 'Bearer dbk_wrong' })],
  ]
  for (const [status, answering] of cases) {
    const answer = await answering
    assert.equal(answer.status, status)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
    const problem = (await answer.json()) as { status: number }
    assert.equal(problem.status, status)
    if (status === 412) assert.equal(answer.headers.get('tus-version'), '1.0.0')
  }
  assert.equal((await part({})).headers.get('upload-offset'), String(body.length))
})

test('curl resumes what it began', async () => {
  const content = randomBytes(200_000)
  const [first, rest] = [join(broker.directory, 'first'), join(broker.directory, 'rest')]
  await writeFile(first, content.subarray(0, 150_000))
  await writeFile(rest, content.subarray(150_000))
  const url = front.url + (await create('curl/file', content.length))
  const part = (file: string, offset: number) =>
    run('curl', [
      ...['-sS', '-i', '-X', 'PATCH', '-T', file, url],
      ...['-H', `X-Broker-Token: ${token}`, '-H', 'Tus-Resumable: 1.0.0'],
      ...['-H', 'Content-Type: application/offset+octet-stream'],
      ...['-H', `Upload-Offset: ${offset}`],
    ])
  assert.match((await part(first, 0)).stdout, /^upload-offset: 150000/im)
  assert.match((await part(rest, 150_000)).stdout, /content-location: \/files\/curl\/file/i)
  await assertStored('curl/file', content)
})

test('tus-js-client says what was wrong', async () => {
  await assert.rejects(upload(front.url, '../up', randomBytes(5), { retryDelays: [] }), (error) => {
    assert.ok(error instanceof DetailedError)
    assert.equal(error.originalResponse?.getStatus(), 400)
    assert.match(error.originalResponse?.getBody() ?? '', /PATH_INVALID/)
    return true
  })
})

function authorized(): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

async function create(
  path: string,
  length: number,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await fetch(`${broker.url}/uploads`, {
    method: 'POST',
    headers: {
      ...authorized(),
      ...TUS,
      'upload-length': String(length),
      'upload-metadata': metadataOf({ path }),
      ...headers,
    },
  })
  assert.equal(answer.status, 201)
  return answer.headers.get('location') ?? ''
}

function partHeaders(offset: number): Record<string, string> {
  return {
    ...authorized(),
    ...TUS,
    'content-type': 'application/offset+octet-stream',
    'upload-offset': String(offset),
  }
}

function send(
  url: string,
  offset: number,
  body: Buffer,
  headers: Record<string, string> = {},
  base = broker.url,
): Promise<Response> {
  return fetch(base + url, {
    method: 'PATCH',
    body: new Uint8Array(body),
    headers: { ...partHeaders(offset), ...headers },
  })
}

/** A part whose body is written by the caller, and perhaps never ends. */
async function beginPart(
  url: string,
  offset: number,
  length: number,
  headers: Record<string, string> = {},
): Promise<ClientRequest> {
  const body = request(broker.url + url, {
    method: 'PATCH',
    headers: { ...partHeaders(offset), 'content-length': length, ...headers },
  })
  body.on('error', () => undefined)
  body.flushHeaders()
  await once(body, 'socket')
  return body
}

async function offsetOf(url: string): Promise<number> {
  const head = await fetch(broker.url + url, {
    method: 'HEAD',
    headers: { ...authorized(), ...TUS },
  })
  assert.equal(head.status, 200)
  return Number(head.headers.get('upload-offset'))
}

/** Where the bytes of an upload are. */
function temporaryFile(url: string): string {
  return join(broker.directory, 'data/state/volumes/default/temp', url.replace('/uploads/', ''))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
