import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { entityTagOf } from '../../src/files/store/entity-tag.ts'
import { MemoryFileStore } from '../../src/files/store/memory-file-store.ts'
import { type StoreUnderTest, sha256 } from '../contract/file-store.ts'
import {
  EVERYTHING,
  type FilesAppOptions,
  filesApp,
  formOf,
  principalWith,
} from './support-http.ts'
import { MemoryTeller } from './support-index.ts'
import { openDiskStore } from './support-store.ts'

interface AppUnderTest extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly subject: StoreUnderTest
}

const stores: Record<string, () => Promise<StoreUnderTest>> = {
  memory: async () => {
    const teller = new MemoryTeller()
    return {
      store: new MemoryFileStore(teller.tell, { maxFileBytes: 1_000_000 }),
      told: async () => teller.changes,
      leftovers: async () => [],
      [Symbol.asyncDispose]: async () => undefined,
    }
  },
  disk: () => openDiskStore({ maxFileBytes: 1_000_000 }),
}

async function open(kind: string, options: FilesAppOptions = {}): Promise<AppUnderTest> {
  const subject = await (stores[kind] ?? assert.fail(kind))()
  const app = filesApp(subject.store, options)
  return {
    app,
    subject,
    async [Symbol.asyncDispose]() {
      await app.close()
      await subject[Symbol.asyncDispose]()
    },
  }
}

const HELLO = { method: 'PUT', url: '/files/a/hello.txt', payload: 'hello' } as const

for (const kind of Object.keys(stores)) {
  test(`${kind}: PUT creates with 201 and its address, and replaces with 200`, async () => {
    await using under = await open(kind)
    const created = await under.app.inject(HELLO)
    assert.equal(created.statusCode, 201)
    assert.equal(created.headers.location, '/files/a/hello.txt')
    assert.equal(created.headers.etag, entityTagOf(sha256('hello')))
    const { position, ...rest } = created.json()
    assert.equal(created.headers['broker-position'], position)
    assert.deepEqual(rest, {
      path: 'a/hello.txt',
      size: 5,
      sha256: sha256('hello'),
      etag: entityTagOf(sha256('hello')),
    })
    const replaced = await under.app.inject({ ...HELLO, payload: 'other' })
    assert.equal(replaced.statusCode, 200)
    assert.equal(replaced.headers.location, undefined)
    const types = (await under.subject.told()).map(({ type }) => type)
    assert.deepEqual(types, ['FILE CREATED', 'FILE UPDATED'])
  })

  test(`${kind}: the same content twice is 200 with the same tag and one change`, async () => {
    await using under = await open(kind)
    const first = await under.app.inject(HELLO)
    const second = await under.app.inject({ ...HELLO, method: 'POST' })
    assert.equal(second.statusCode, 200)
    assert.equal(second.headers.etag, first.headers.etag)
    assert.equal(second.json().position, null)
    assert.equal((await under.subject.told()).length, 1)
  })

  test(`${kind}: GET has the content and everything that names it`, async () => {
    await using under = await open(kind)
    await under.app.inject(HELLO)
    const got = await under.app.inject('/files/a/hello.txt')
    assert.equal(got.statusCode, 200)
    assert.equal(got.body, 'hello')
    assert.equal(got.headers.etag, entityTagOf(sha256('hello')))
    assert.equal(got.headers['accept-ranges'], 'bytes')
    assert.equal(got.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal(got.headers['content-length'], '5')
    assert.match(String(got.headers['last-modified']), / GMT$/)
    assert.match(String(got.headers['repr-digest']), /^sha-256=:.+:$/)
    assert.equal(got.headers['x-content-type-options'], 'nosniff')
    assert.equal(got.headers['content-security-policy'], 'sandbox')
    assert.match(String(got.headers['cache-control']), /private/)
    const head = await under.app.inject({ method: 'HEAD', url: '/files/a/hello.txt' })
    assert.equal(head.body, '')
    for (const name of ['etag', 'content-length', 'repr-digest', 'accept-ranges']) {
      assert.equal(head.headers[name], got.headers[name], name)
    }
  })

  test(`${kind}: what was put by any content type comes back byte by byte`, async () => {
    await using under = await open(kind)
    const types = ['application/json', 'text/plain', 'image/png', 'application/x-foo+zip']
    const payload = Buffer.from([0, 255, 123, 13, 10, 0])
    for (const type of types) {
      const headers = { 'content-type': type }
      const put = await under.app.inject({ method: 'PUT', url: '/files/bytes', payload, headers })
      assert.ok(put.statusCode < 300, `${type} ${put.body}`)
      assert.deepEqual((await under.app.inject('/files/bytes')).rawPayload, payload)
    }
    const put = await under.app.inject({ method: 'PUT', url: '/files/bytes' })
    assert.equal(put.statusCode, 200)
    assert.equal((await under.app.inject('/files/bytes')).headers['content-length'], '0')
  })

  test(`${kind}: names are those of the raw target, decoded once`, async () => {
    await using under = await open(kind)
    const url = '/files/d%20%25/%E2%82%AC%3F%23%2A.txt'
    const put = await under.app.inject({ method: 'PUT', url, payload: 'x' })
    assert.equal(put.json().path, 'd %/€?#*.txt')
    const listing = await under.app.inject('/files/d%20%25/')
    assert.equal(listing.json().entries[0].name, '€?#*.txt')
    assert.equal((await under.app.inject(String(put.headers.location))).body, 'x')
    for (const bad of ['/files/a%2Fb', '/files/a%5Cb', '/files/%00', '/files/%zz', '/files/%ff']) {
      const refused = await under.app.inject({ method: 'PUT', url: bad, payload: 'x' })
      assert.equal(refused.statusCode, 400, bad)
    }
    for (const bad of ['/files/a//b', '/files/cafe%CC%81', '/files/x%E2%80%AEy']) {
      const refused = await under.app.inject({ method: 'PUT', url: bad, payload: 'x' })
      assert.equal(refused.json().code, 'PATH_INVALID', bad)
    }
  })

  test(`${kind}: ranges are answered as they were asked for`, async () => {
    await using under = await open(kind)
    const put = await under.app.inject({ ...HELLO, payload: '0123456789' })
    const get = (headers: Record<string, string>) =>
      under.app.inject({ url: '/files/a/hello.txt', headers })
    const some = await get({ range: 'bytes=2-4' })
    assert.equal(some.statusCode, 206)
    assert.equal(some.body, '234')
    assert.equal(some.headers['content-range'], 'bytes 2-4/10')
    assert.equal((await get({ range: 'bytes=-3' })).body, '789')
    assert.equal((await get({ range: 'bytes=7-' })).body, '789')
    const outside = await get({ range: 'bytes=10-' })
    assert.equal(outside.statusCode, 416)
    assert.equal(outside.headers['content-range'], 'bytes */10')
    assert.equal(outside.headers.etag, undefined)
    assert.equal((await get({ range: 'lines=1-2' })).statusCode, 200)
    const many = await get({ range: 'bytes=0-1, 8-' })
    assert.equal(many.statusCode, 206)
    const boundary = /boundary=(.+)$/.exec(String(many.headers['content-type']))?.[1]
    const part = (range: string, body: string) =>
      `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${range}/10\r\n\r\n${body}`
    assert.equal(many.body, `${part('0-1', '01')}${part('8-9', '89')}\r\n--${boundary}--\r\n`)
    assert.equal(many.headers['content-length'], String(many.rawPayload.length))
    const etag = String(put.headers.etag)
    assert.equal((await get({ range: 'bytes=2-4', 'if-range': etag })).statusCode, 206)
    assert.equal((await get({ range: 'bytes=2-4', 'if-range': '"x"' })).statusCode, 200)
    assert.equal((await get({ range: 'bytes=99-', 'if-range': '"x"' })).statusCode, 200)
  })

  test(`${kind}: conditions decide reads and writes`, async () => {
    await using under = await open(kind)
    const etag = String((await under.app.inject(HELLO)).headers.etag)
    const url = HELLO.url
    const status = async (
      method: 'GET' | 'PUT' | 'POST' | 'DELETE',
      headers: Record<string, string>,
      at: string = url,
    ) => {
      const payload = method === 'GET' || method === 'DELETE' ? {} : { payload: 'next' }
      return (await under.app.inject({ method, url: at, headers, ...payload })).statusCode
    }
    assert.equal(await status('GET', { 'if-none-match': etag }), 304)
    assert.equal(await status('GET', { 'if-none-match': `W/${etag}` }), 304)
    assert.equal(await status('GET', { 'if-none-match': '"x"' }), 200)
    assert.equal(await status('GET', { 'if-match': '"x"' }), 412)
    assert.equal(await status('GET', { 'if-match': etag }), 200)
    assert.equal(await status('PUT', { 'if-none-match': '*' }), 412)
    assert.equal(await status('PUT', { 'if-match': '"x"' }), 412)
    assert.equal(await status('PUT', { 'if-match': `W/${etag}` }), 412)
    assert.equal(await status('PUT', { 'if-match': 'unquoted' }), 400)
    const missing = '/files/missing'
    assert.equal(await status('PUT', { 'if-match': etag }, missing), 412)
    assert.equal(await status('POST', { 'if-match': '*' }, missing), 412)
    assert.equal(await status('GET', { 'if-match': etag }, missing), 404)
    assert.equal(await status('DELETE', { 'if-match': etag }, missing), 404)
    assert.equal(await status('DELETE', { 'if-match': '"x"' }), 412)
    assert.equal(await status('PUT', { 'if-match': etag }), 200)
    assert.equal(await status('DELETE', { 'if-match': etag }), 412)
    assert.equal(await status('DELETE', { 'if-match': '*' }), 204)
    assert.equal(await status('DELETE', {}), 404)
    assert.equal((await under.subject.told()).length, 3)
  })

  test(`${kind}: a date decides a read that names no tag`, async () => {
    await using under = await open(kind)
    await under.app.inject(HELLO)
    const modified = String((await under.app.inject(HELLO.url)).headers['last-modified'])
    const get = async (headers: Record<string, string>) =>
      (await under.app.inject({ url: HELLO.url, headers })).statusCode
    const before = new Date(Date.parse(modified) - 1000).toUTCString()
    assert.equal(await get({ 'if-modified-since': modified }), 304)
    assert.equal(await get({ 'if-modified-since': before }), 200)
    assert.equal(await get({ 'if-modified-since': modified, 'if-none-match': '"x"' }), 200)
    assert.equal(await get({ 'if-unmodified-since': before }), 412)
    assert.equal(await get({ 'if-unmodified-since': modified }), 200)
  })

  test(`${kind}: a stated digest is verified, and a wrong one leaves nothing`, async () => {
    await using under = await open(kind)
    const put = async (headers: Record<string, string>) => {
      const answer = await under.app.inject({ ...HELLO, headers })
      return answer.statusCode < 300 ? answer.statusCode : answer.json().code
    }
    const base64 = Buffer.from(sha256('hello'), 'hex').toString('base64')
    const wrong = Buffer.from(sha256('other'), 'hex').toString('base64')
    assert.equal(await put({ 'repr-digest': `sha-256=:${wrong}:` }), 'DIGEST_MISMATCH')
    assert.equal(
      await put({ 'content-digest': `md5=:AAAA:, sha-256=:${wrong}:` }),
      'DIGEST_MISMATCH',
    )
    assert.equal(await put({ 'x-checksum-sha256': sha256('other') }), 'DIGEST_MISMATCH')
    assert.equal(await put({ 'x-checksum-sha256': 'abc' }), 'DIGEST_INVALID')
    assert.equal(await put({ 'repr-digest': `sha-256=${base64}` }), 'DIGEST_INVALID')
    assert.deepEqual(await under.subject.told(), [])
    assert.deepEqual(await under.subject.leftovers(), [])
    assert.equal(await put({ 'repr-digest': `sha-256=:${base64}:` }), 201)
    assert.equal(await put({ 'x-checksum-sha256': sha256('hello').toUpperCase() }), 200)
    assert.equal(await put({ 'repr-digest': 'md5=:AAAA:' }), 200)
  })

  test(`${kind}: a body that is too large or a part is refused`, async () => {
    await using under = await open(kind, { maxFileBytes: 1_000_000 })
    const put = async (payload: string, headers: Record<string, string> = {}) =>
      (await under.app.inject({ ...HELLO, payload, headers })).statusCode
    assert.equal(await put('x'.repeat(1_000_001)), 413)
    assert.equal(await put('x', { 'content-range': 'bytes 0-0/2' }), 400)
    assert.equal(await put('x'.repeat(1_000_000)), 201)
    assert.deepEqual(await under.subject.leftovers(), [])
  })

  test(`${kind}: a form stores all of its files under their names`, async () => {
    await using under = await open(kind)
    const form = formOf([
      ['a.txt', 'one'],
      ['ü €.bin', 'two'.repeat(100_000)],
    ])
    const posted = await under.app.inject({ method: 'POST', url: '/files/up/', ...form })
    assert.equal(posted.statusCode, 201, posted.body)
    const paths = posted.json().files.map(({ path }: { path: string }) => path)
    assert.deepEqual(paths, ['up/a.txt', 'up/ü €.bin'])
    assert.equal((await under.app.inject('/files/up/a.txt')).body, 'one')
    const again = await under.app.inject({ method: 'POST', url: '/files/up/', ...form })
    assert.equal(again.statusCode, 200)
    assert.equal((await under.subject.told()).length, 2)
    assert.deepEqual(await under.subject.leftovers(), [])
  })

  test(`${kind}: a form is refused whole for one bad name, a repetition or a condition`, async () => {
    await using under = await open(kind)
    await under.app.inject({ method: 'PUT', url: '/files/up/there', payload: 'x' })
    const post = async (names: string[], headers: Record<string, string> = {}) => {
      const form = formOf(names.map((name) => [name, 'x'.repeat(300_000)]))
      const all = { ...form.headers, ...headers }
      const options = { url: '/files/up/', headers: all, payload: form.payload }
      return (await under.app.inject({ method: 'POST', ...options })).json().code
    }
    assert.equal(await post(['fine', 'a/b']), 'PATH_INVALID')
    assert.equal(await post(['fine', 'C:\\\\b']), 'PATH_INVALID')
    assert.equal(await post(['fine', '..']), 'PATH_INVALID')
    assert.equal(await post(['fine', '.hidden']), 'PATH_INVALID')
    assert.equal(await post(['fine', 'fine']), 'PATH_INVALID')
    assert.equal(await post(['fine', 'there'], { 'if-none-match': '*' }), 'PRECONDITION_FAILED')
    assert.equal(await post([]), 'REQUEST_INVALID')
    assert.equal(await post(['fine'], { 'x-checksum-sha256': sha256('x') }), 'DIGEST_INVALID')
    assert.equal((await under.app.inject('/files/up/fine')).statusCode, 404)
    assert.equal((await under.subject.told()).length, 1)
    assert.deepEqual(await under.subject.leftovers(), [])
  })

  test(`${kind}: a form that ends in the middle is BODY_INCOMPLETE and leaves nothing`, async () => {
    await using under = await open(kind)
    const form = formOf([
      ['one', 'x'.repeat(300_000)],
      ['two', 'y'.repeat(300_000)],
    ])
    for (const cut of [100, 290_000, 300_200, 450_000, form.payload.length - 10]) {
      const payload = form.payload.slice(0, cut)
      const options = { method: 'POST', url: '/files/up/', headers: form.headers } as const
      const answer = await under.app.inject({ ...options, payload })
      assert.equal(answer.json().code, 'BODY_INCOMPLETE', `${cut} ${answer.body}`)
      assert.deepEqual(await under.subject.leftovers(), [])
    }
    assert.deepEqual(await under.subject.told(), [])
  })

  test(`${kind}: a form needs a directory and a raw body a file`, async () => {
    await using under = await open(kind)
    const form = formOf([['a', 'x']])
    const code = async (method: 'PUT' | 'POST', url: string, body: object) =>
      (await under.app.inject({ method, url, ...body })).json().code
    assert.equal(await code('POST', '/files/a', form), 'REQUEST_INVALID')
    assert.equal(await code('PUT', '/files/a', form), 'REQUEST_INVALID')
    assert.equal(await code('PUT', '/files/a/', form), 'REQUEST_INVALID')
    assert.equal(await code('POST', '/files/a/', { payload: 'x' }), 'REQUEST_INVALID')
    assert.equal(await code('PUT', '/files/a/', { payload: 'x' }), 'REQUEST_INVALID')
    assert.deepEqual(await under.subject.told(), [])
  })

  test(`${kind}: a directory is listed as JSON, as a page and as lines`, async () => {
    await using under = await open(kind)
    const name = '<b>&"\'.txt'
    for (const path of ['d/z', `d/${encodeURIComponent(name)}`, 'd/sub/deep', 'd/m']) {
      await under.app.inject({ method: 'PUT', url: `/files/${path}`, payload: path })
    }
    const json = await under.app.inject('/files/d/')
    assert.deepEqual(Object.keys(json.json()), ['path', 'entries', 'next'])
    assert.equal(json.json().path, 'd')
    assert.equal(json.json().next, null)
    const names = (body: { entries: { name: string }[] }) => body.entries.map((entry) => entry.name)
    assert.deepEqual(names(json.json()), [name, 'm', 'sub', 'z'])
    const [, file, directory] = json.json().entries
    assert.deepEqual(directory, {
      name: 'sub',
      type: 'directory',
      size: null,
      modified: null,
      etag: null,
    })
    assert.equal(file.etag, entityTagOf(sha256('d/m')))
    assert.equal(file.size, 3)
    assert.match(file.modified, /^\d{4}-.*Z$/)

    const page = await under.app.inject({
      url: '/files/d/',
      headers: { accept: 'text/html,*/*;q=0.8' },
    })
    assert.match(String(page.headers['content-type']), /^text\/html/)
    assert.match(String(page.headers['content-security-policy']), /^sandbox/)
    assert.ok(page.body.includes('&lt;b&gt;&amp;&quot;&#39;.txt'))
    assert.ok(!page.body.includes('<b>'))
    assert.ok(page.body.includes('href="./sub/"'))

    const lines = await under.app.inject({
      url: '/files/d/?recursive',
      headers: { accept: 'application/x-ndjson' },
    })
    const listed = lines.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).name)
    assert.deepEqual(listed, [name, 'm', 'sub/deep', 'z'])

    const seen: string[] = []
    for (let next: string | null = ''; next !== null; ) {
      const url: string = `/files/d/?recursive&limit=3&cursor=${encodeURIComponent(next)}`
      const body: { entries: { name: string }[]; next: string | null } = (
        await under.app.inject(url)
      ).json()
      seen.push(...names(body))
      next = body.next
    }
    assert.deepEqual(seen, listed)
    assert.equal((await under.app.inject('/files/nothing/')).statusCode, 404)
    assert.equal((await under.app.inject('/files/d/?limit=0')).statusCode, 400)
    assert.equal((await under.app.inject('/files/d/?recursive=maybe')).statusCode, 400)
    const image = { url: '/files/d/', headers: { accept: 'image/png' } }
    assert.equal((await under.app.inject(image)).statusCode, 406)
    const redirected = await under.app.inject('/files/d')
    assert.equal(redirected.statusCode, 307)
    assert.equal(redirected.headers.location, 'd/')
    assert.equal((await under.app.inject('/files')).json().path, '')
    assert.equal((await under.app.inject('/files/')).json().path, '')
    assert.equal((await under.app.inject('/files/m/')).statusCode, 404)
  })

  for (const accept of ['application/json', 'text/html', 'application/x-ndjson']) {
    test(`${kind}: Link leads from page to page of a listing as ${accept}`, async () => {
      await using under = await open(kind)
      for (const name of ['a', 's/%C3%BC%20%26%3E', 't', 'z']) {
        await under.app.inject({ method: 'PUT', url: `/files/d/${name}`, payload: name })
      }
      const sizes: (number | undefined)[] = []
      const asked: string[] = []
      const follow = async (url: string): Promise<void> => {
        asked.push(url)
        const { headers, body } = await under.app.inject({ url, headers: { accept } })
        sizes.push(body.match(/"name":|href="\.\/[^.]/g)?.length)
        if (headers.link === undefined) return
        const [, next = ''] = /^<([^>]+)>; rel="next"$/.exec(String(headers.link)) ?? []
        await follow(new URL(next, `http://x${url}`).href.slice('http://x'.length))
      }
      await follow('/files/d/?recursive&limit=2&x=1')
      assert.deepEqual(sizes, [2, 2])
      assert.deepEqual(asked.slice(1), ['/files/d/?recursive=&limit=2&cursor=s%2F%C3%BC+%26%3E'])
      const whole = { url: '/files/d/?recursive', headers: { accept } }
      assert.equal((await under.app.inject(whole)).headers.link, undefined)
    })
  }

  test(`${kind}: deleting a directory needs the word and takes every file under it`, async () => {
    await using under = await open(kind)
    for (const path of ['d/1', 'd/e/2', 'd/e/f/3', 'other']) {
      await under.app.inject({ method: 'PUT', url: `/files/${path}`, payload: path })
    }
    const remove = (url: string) => under.app.inject({ method: 'DELETE', url })
    assert.equal((await remove('/files/d/')).statusCode, 400)
    assert.equal((await remove('/files/d')).statusCode, 404)
    assert.equal((await remove('/files/d/?recursive')).statusCode, 204)
    assert.equal((await remove('/files/d/?recursive')).statusCode, 404)
    assert.equal((await under.app.inject('/files/d/')).statusCode, 404)
    assert.equal((await under.app.inject('/files/other')).statusCode, 200)
    const deleted = (await under.subject.told()).filter(({ type }) => type === 'FILE DELETED')
    assert.deepEqual(deleted.map(({ path }) => path).sort(), ['d/1', 'd/e/2', 'd/e/f/3'])
  })

  test(`${kind}: rights decide, and a refusal says no more than may be known`, async () => {
    let principal = principalWith(EVERYTHING)
    await using under = await open(kind, { principal: () => principal })
    await under.app.inject({ method: 'PUT', url: '/files/builds/app', payload: 'app' })
    await under.app.inject({ method: 'PUT', url: '/files/builds/deep/er', payload: 'er' })
    await under.app.inject({ method: 'PUT', url: '/files/secret/plan', payload: 'plan' })
    const ask = async (
      method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE',
      url: string,
      payload?: string,
    ) => {
      const answer = await under.app.inject({
        method,
        url,
        ...(payload !== undefined && { payload }),
      })
      const { code, missing } = answer.statusCode < 400 || method === 'HEAD' ? {} : answer.json()
      return [answer.statusCode, ...(code ? [code] : []), ...(missing ? [missing] : [])]
    }
    principal = principalWith({ list: ['builds/**'], create: ['builds/**'] })
    assert.deepEqual(await ask('GET', '/files/builds/app'), [403, 'FORBIDDEN', 'read'])
    assert.deepEqual(await ask('DELETE', '/files/builds/app'), [403, 'FORBIDDEN', 'delete'])
    assert.deepEqual(await ask('GET', '/files/secret/plan'), [404, 'NOT_FOUND'])
    assert.deepEqual(await ask('DELETE', '/files/secret/plan'), [404, 'NOT_FOUND'])
    assert.deepEqual(await ask('GET', '/files/secret/'), [404, 'NOT_FOUND'])
    assert.deepEqual(await ask('GET', '/files/secret'), [404, 'NOT_FOUND'])
    const neither = [403, 'FORBIDDEN', 'create']
    assert.deepEqual(await ask('PUT', '/files/secret/plan', 'x'), neither)
    assert.deepEqual(await ask('PUT', '/files/secret/none', 'x'), neither)
    assert.deepEqual(await ask('PUT', '/files/builds/app', 'x'), [403, 'FORBIDDEN', 'replace'])
    assert.deepEqual(await ask('PUT', '/files/builds/app', 'app'), [200])
    assert.deepEqual(await ask('POST', '/files/builds/new', 'x'), [201])
    const root = await under.app.inject('/files/')
    assert.deepEqual(
      root.json().entries.map(({ name }: { name: string }) => name),
      ['builds'],
    )
    principal = principalWith({ replace: ['builds/**'] })
    assert.deepEqual(await ask('PUT', '/files/builds/app', 'y'), [200])
    assert.deepEqual(await ask('PUT', '/files/builds/none', 'y'), [403, 'FORBIDDEN', 'create'])
    assert.deepEqual(await ask('GET', '/files/'), [404, 'NOT_FOUND'])
    principal = principalWith({ list: ['builds/**'], delete: ['builds/deep/**'] })
    assert.deepEqual(await ask('DELETE', '/files/builds/?recursive'), [403, 'FORBIDDEN', 'delete'])
    assert.deepEqual(await ask('DELETE', '/files/builds/deep/?recursive'), [204])
    principal = principalWith({ list: ['builds/*'] }, null)
    assert.deepEqual(await ask('GET', '/files/builds/app'), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await ask('GET', '/files/secret/plan'), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await ask('GET', '/files/secret/'), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await ask('PUT', '/files/builds/app', 'x'), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await ask('DELETE', '/files/builds/app'), [401, 'UNAUTHENTICATED'])
    assert.deepEqual(await ask('GET', '/files/builds/'), [200])
  })

  test(`${kind}: a right that was lost while the body came refuses the upload`, async () => {
    await using under = await open(kind, { renew: () => principalWith({}) })
    const answer = await under.app.inject(HELLO)
    assert.equal(answer.statusCode, 403)
    assert.deepEqual(await under.subject.told(), [])
    await using gone = await open(kind, { renew: () => undefined })
    assert.equal((await gone.app.inject(HELLO)).statusCode, 401)
  })

  test(`${kind}: of many conditional creators over HTTP exactly one gets 201`, async () => {
    await using under = await open(kind)
    const headers = { 'if-none-match': '*' }
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        under.app.inject({ ...HELLO, headers, payload: `writer ${i}` }),
      ),
    )
    const statuses = answers.map(({ statusCode }) => statusCode).sort()
    assert.deepEqual(statuses, [201, ...Array.from({ length: 23 }, () => 412)])
    assert.equal((await under.subject.told()).length, 1)
  })
}
