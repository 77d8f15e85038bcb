import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { type Answer, answerOf } from '../support/front.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

/** Every kind of request about files, asked of one broker with Nginx in front of it and without. */

let front: BrokerBehindNginx
let token: string
/** Of the file that is asked for. */
let etag: string
let modified: string

const TEXT = '0123456789'.repeat(10)
const LARGE = 'large '.repeat(50_000)

before(async () => {
  if (NGINX_MISSING !== false) return
  front = await BrokerBehindNginx.start('--settle=60s')
  token = await front.broker.adminToken()
  const files: Record<string, string> = {
    'd/text.txt': TEXT,
    'd/large.bin': LARGE,
    'd/empty': '',
    'd/page.html': '<script>alert(1)</script>',
    'd/data.json': '{"a":1}',
    'd/sub/deep.txt': 'deep',
    'd/%E2%82%AC%20%25%3F%23%2A%2B.txt': 'named',
  }
  for (const [path, body] of Object.entries(files)) {
    const { status, headers } = await ask('broker', { method: 'PUT', path: `/files/${path}`, body })
    assert.equal(status, 201)
    if (path !== 'd/text.txt') continue
    etag = String(headers.etag)
  }
  modified = String((await ask('broker', get('d/text.txt'))).headers['last-modified'])
  const volume = join(front.broker.directory, 'data/files')
  await mkdir(join(volume, 'd'), { recursive: true })
  await writeFile(join(volume, 'd/unhashed.txt'), 'written on disk')
})

after(() => front?.[Symbol.asyncDispose]())

type Door = 'broker' | 'nginx'

/** Directories with names of one length, since the length of what names them is compared. */
const PLACE: Readonly<Record<Door, string>> = { broker: 'door-a', nginx: 'door-b' }

interface Case {
  readonly method: string
  /** The raw target, with `DOOR` where what is changed has a place of its own at each door. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Without the token. */
  readonly anonymous?: true
}

function get(path: string, headers: Record<string, string> = {}): Case {
  return { method: 'GET', path: `/files/${path}`, headers }
}

function put(path: string, body: string, headers: Record<string, string> = {}): Case {
  return { method: 'PUT', path: `/files/DOOR/${path}`, body, headers }
}

async function ask(door: Door, { method, path, headers, body, anonymous }: Case): Promise<Answer> {
  const sent = request(door === 'nginx' ? front.url : front.broker.url, {
    ...{ method, path: path.replace('DOOR', PLACE[door]), agent: false },
    headers: {
      // The same Host at both, which addresses are made of.
      host: 'broker.example',
      ...(anonymous === undefined && { 'x-broker-token': token }),
      ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
  })
  return answerOf(sent.end(body))
}

/** Of the connection or the moment: Nginx has a connection, a clock, a name and request ids of its own. */
const OWN = ['date', 'server', 'connection', 'keep-alive', 'x-request-id', 'transfer-encoding']

/** What an answer says, with what differs between any two requests taken out. */
function said({ status, headers, body }: Answer, door: Door, { method }: Case) {
  const boundary = /boundary=(\S+)/.exec(headers['content-type'] ?? '')?.[1] ?? 'no boundary'
  const plain = (text: string) =>
    text
      .replaceAll(PLACE[door], 'DOOR')
      .replaceAll(boundary, 'BOUNDARY')
      .replaceAll(/"position":"[^"]+"/g, '"position":"POSITION"')
  const kept = Object.entries(headers).filter(
    ([name, value]) =>
      !OWN.includes(name) &&
      // Each door stores a file of its own, and a second may begin in between.
      !(name === 'last-modified' && ['PUT', 'POST'].includes(method)) &&
      // Told where the body begins, or by its end: Nginx does not know how long a refusal becomes, and has
      // shorter boundaries between ranges.
      !(name === 'content-length' && value === String(body.length)) &&
      // Nginx leaves it out of an answer which shows it.
      !(name === 'accept-ranges' && status === 206),
  )
  const fields = kept.map(([name, value]) => [
    name,
    name === 'broker-position' ? 'POSITION' : plain(String(value)),
  ])
  return { status, fields: Object.fromEntries(fields.toSorted()), body: plain(body) }
}

const FORM_TYPE = { 'content-type': 'multipart/form-data; boundary=x' }

function form(...files: readonly (readonly [string, string])[]): string {
  const parts = files.map(
    ([name, content]) =>
      `--x\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n\r\n${content}\r\n`,
  )
  return `${parts.join('')}--x--\r\n`
}

/** In their order: what one changes the next may ask for. */
function cases(): Case[] {
  const ranges = [
    'bytes=2-4',
    'bytes=-3',
    'bytes=90-',
    'bytes=0-',
    'bytes=90-200',
    'bytes=0-1, 8-9',
    'bytes=0-1,95-',
    'bytes=8-9,0-1',
    'bytes=0-5,3-8',
    'bytes=0-1,200-',
    'bytes=100-',
    'bytes=5-1',
    'bytes=-0',
    'lines=1-2',
    'bytes=x',
    'bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9',
  ]
  const conditions: Record<string, string>[] = [
    { 'if-none-match': etag },
    { 'if-none-match': '"x"' },
    { 'if-none-match': 'x' },
    { 'if-match': etag },
    { 'if-match': '"x"' },
    { 'if-modified-since': modified },
    { 'if-modified-since': new Date(0).toUTCString() },
    { 'if-unmodified-since': modified },
    { 'if-unmodified-since': new Date(0).toUTCString() },
    { range: 'bytes=2-4', 'if-range': etag },
    { range: 'bytes=2-4', 'if-range': '"x"' },
    { range: 'bytes=200-', 'if-range': '"x"' },
    { range: 'bytes=2-4', 'if-none-match': etag },
  ]
  const reads = [
    ...ranges.map((range) => get('d/text.txt', { range })),
    ...conditions.map((fields) => get('d/text.txt', fields)),
    ...['d/text.txt', 'd/large.bin', 'd/empty', 'd/page.html', 'd/data.json'].map((p) => get(p)),
    get('d/large.bin', { range: 'bytes=10-99999' }),
    ...['sha-512=10, sha-256=1', 'sha-256=0', 'md5=1'].map((wanted) =>
      get('d/large.bin', { 'want-repr-digest': wanted }),
    ),
    get('d/empty', { range: 'bytes=0-' }),
    get('d/unhashed.txt'),
    get('d/unhashed.txt', { range: 'bytes=1-3' }),
    get('d/%E2%82%AC%20%25%3F%23%2A%2B.txt'),
    get('d/%e2%82%ac%20%25%3f%23%2a+.txt'),
    // Listings.
    get(''),
    get('d/'),
    get('d'),
    get('d/?recursive&limit=3'),
    get('d/?limit=0'),
    get('d/', { accept: 'text/html' }),
    get('d/', { accept: 'application/x-ndjson' }),
    get('d/', { accept: 'image/png' }),
    get('config/'),
    // Names that are none.
    ...['none', 'd/none', 'none/', 'a%2Fb', 'a%5Cb', '%ff', 'a//b', 'cafe%CC%81'].map((p) =>
      get(p),
    ),
    ...['d/./text.txt', 'd/../d/text.txt', 'd/%2e%2e/d/text.txt', '.hidden', 'd/text.txt/'].map(
      (p) => get(p),
    ),
    { ...get('d/text.txt'), anonymous: true } as const,
    { ...get('d/'), anonymous: true } as const,
    get('d/text.txt', { 'x-broker-token': 'wrong' }),
  ]
  const heads = reads.map((each) => ({ ...each, method: 'HEAD' }))
  const writes: Case[] = [
    put('a.txt', 'one'),
    put('a.txt', 'one'),
    put('a.txt', 'two'),
    put('a.txt', 'three', { 'if-none-match': '*' }),
    put('a.txt', 'three', { 'if-match': '"x"' }),
    put('a.txt', 'three', { 'if-match': 'x' }),
    put('a.txt', 'three', { 'x-checksum-sha256': '0'.repeat(64) }),
    put('a.txt', 'three', { 'repr-digest': 'nonsense' }),
    put('a.txt', 'three', { 'content-range': 'bytes 0-0/2' }),
    put('a.txt', 'three', { 'content-encoding': 'gzip' }),
    put('a.txt/', 'three'),
    put('.hidden', 'three'),
    put('a.txt/under', 'three'),
    put('%C3%BC%20%25.txt', 'four'),
    { ...put('a.txt', 'five'), anonymous: true },
    { ...put('b.txt', 'six'), method: 'POST' },
    { ...put('up/', form(['x', '1'], ['y', '2']), FORM_TYPE), method: 'POST' },
    { ...put('up/', form(['x', '1'], ['x', '2']), FORM_TYPE), method: 'POST' },
    { ...put('up/', form(['a/b', '1']), FORM_TYPE), method: 'POST' },
    { ...put('up/', form(['x', '1']).slice(0, -20), FORM_TYPE), method: 'POST' },
    { ...put('up', form(['x', '1']), FORM_TYPE), method: 'POST' },
    { method: 'PATCH', path: '/files/DOOR/a.txt', body: 'x' },
    { method: 'OPTIONS', path: '/files/DOOR/a.txt' },
    { method: 'DELETE', path: '/files/DOOR/a.txt', headers: { 'if-match': '"x"' } },
    { method: 'DELETE', path: '/files/DOOR/a.txt' },
    { method: 'DELETE', path: '/files/DOOR/a.txt' },
    { method: 'DELETE', path: '/files/DOOR/up/' },
    { method: 'DELETE', path: '/files/DOOR/up/?recursive' },
    { method: 'DELETE', path: '/files/DOOR/up/?recursive' },
  ]
  return [...reads, ...heads, ...writes]
}

test('a request about files is answered by Nginx as by the broker', {
  skip: NGINX_MISSING,
}, async (t) => {
  for (const each of cases()) {
    const { method, path, headers = {}, anonymous } = each
    const name = `${method} ${path} ${JSON.stringify(headers)}${anonymous ? ' of nobody' : ''}`
    await t.test(name, async () => {
      const [direct, through] = [await ask('broker', each), await ask('nginx', each)]
      assert.deepEqual(said(through, 'nginx', each), said(direct, 'broker', each))
    })
  }
})

test('whoever prefers SHA-512 is told it, also by Nginx', { skip: NGINX_MISSING }, async () => {
  const wanted = get('d/large.bin', { 'want-repr-digest': 'sha-512=1' })
  const digest = createHash('sha512').update(LARGE).digest('base64')
  for (const door of ['broker', 'nginx'] as const) {
    const { headers, body } = await ask(door, wanted)
    assert.equal(body, LARGE)
    assert.equal(headers['repr-digest'], `sha-512=:${digest}:`)
  }
})

test('a target that Nginx cannot read is refused by it with the same code', {
  skip: NGINX_MISSING,
}, async () => {
  for (const path of ['%00', '%zz']) {
    const [direct, through] = [await ask('broker', get(path)), await ask('nginx', get(path))]
    assert.equal(through.status, direct.status)
    assert.equal(through.headers['content-type'], direct.headers['content-type'])
    // The words are its own, and so is the address of the type: it is not told the one that clients use.
    assert.equal(JSON.parse(through.body).code, JSON.parse(direct.body).code)
  }
})
