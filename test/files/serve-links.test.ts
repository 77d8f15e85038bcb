import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { chmod, link, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { DiskFileStore } from '../../src/files/store/disk-file-store.ts'
import { sweepServeLinks } from '../../src/files/store/serve-links.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { pathOf } from '../contract/file-index.ts'
import { put, read } from '../contract/file-store.ts'
import { filesApp } from './support-http.ts'
import { type DiskStoreUnderTest, openDiskStore } from './support-store.ts'

const PREFIX = '/-/serve/'

interface Served extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly subject: DiskStoreUnderTest
  /** The file behind an `X-Accel-Redirect`, as nginx would open it. */
  fileOf(header: unknown): string
  links(): Promise<string[]>
}

async function open(): Promise<Served> {
  const subject = await openDiskStore({ withConfig: true })
  const app = filesApp(subject.store, { acceleratedBy: () => PREFIX })
  const volumes = join(subject.directory, 'data', 'state', 'volumes')
  return {
    app,
    subject,
    fileOf: (header) => {
      assert.ok(String(header).startsWith(PREFIX), String(header))
      return join(volumes, decodeURIComponent(String(header).slice(PREFIX.length)))
    },
    links: () => readdir(join(volumes, 'default', 'serve')),
    async [Symbol.asyncDispose]() {
      await app.close()
      await subject[Symbol.asyncDispose]()
    },
  }
}

test('a front server is told of a link that keeps the promised content', async () => {
  await using served = await open()
  await put(served.subject.store, 'd/x.txt', 'one')
  const answer = await served.app.inject('/files/d/x.txt')
  assert.equal(answer.statusCode, 200)
  assert.equal(answer.body, '')
  assert.equal(answer.headers['accept-ranges'], undefined)
  assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
  assert.match(String(answer.headers.etag), /^"sha256-/)
  const file = served.fileOf(answer.headers['x-accel-redirect'])
  await put(served.subject.store, 'd/x.txt', 'two')
  assert.equal(await readFile(file, 'utf8'), 'one')
  const next = await served.app.inject({ method: 'HEAD', url: '/files/d/x.txt' })
  assert.equal(await readFile(served.fileOf(next.headers['x-accel-redirect']), 'utf8'), 'two')
})

test('one link serves all who ask, and neither it nor its removal is a change', async () => {
  await using served = await open()
  const { store, index } = served.subject
  await put(store, 'x', 'one')
  const answers = await Promise.all(Array.from({ length: 20 }, () => served.app.inject('/files/x')))
  const links = new Set(answers.map(({ headers }) => headers['x-accel-redirect']))
  assert.equal(links.size, 1)
  const known = await store.find(pathOf('x'))
  assert.notEqual(known?.etag, undefined)
  assert.equal(await read(store, 'x'), 'one')
  const { ctimeNs } = await stat(join(served.subject.files, 'x'), { bigint: true })
  assert.equal((await index.get(pathOf('x')))?.fingerprint.ctimeNs, ctimeNs)
  await store.serveLinks.retire(0)
  assert.deepEqual(await served.links(), [])
  assert.equal((await store.find(pathOf('x')))?.etag, known?.etag)
  assert.equal((await served.subject.told()).length, 1)
})

test('a link keeps the promised content also when another file is moved there meanwhile', async () => {
  await using served = await open()
  const { store, files } = served.subject
  let links = 0
  for (let round = 0; round < 150; round += 1) {
    const { etag } = await put(store, 'x', `uploaded ${round}`)
    await writeFile(join(files, '.next'), `moved ${round}`)
    const asking = served.app.inject('/files/x')
    for (let turns = round % 15; turns > 0; turns -= 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    renameSync(join(files, '.next'), join(files, 'x'))
    const { headers } = await asking
    if (headers.etag !== etag || headers['x-accel-redirect'] === undefined) continue
    links += 1
    const sent = await readFile(served.fileOf(headers['x-accel-redirect']), 'utf8')
    assert.equal(sent, `uploaded ${round}`)
  }
  assert.ok(links > 0)
})

test('a symbolic link on the way to a file leads to no other one', async () => {
  await using served = await open()
  const { store, files } = served.subject
  await put(store, 'd/x', 'one')
  await put(store, 'e/x', 'two')
  assert.equal((await served.app.inject('/files/d/x')).statusCode, 200)
  await rename(join(files, 'd'), join(files, 'gone'))
  await symlink('e', join(files, 'd'))
  const answer = await served.app.inject('/files/d/x')
  assert.equal(answer.statusCode, 404)
  assert.equal(answer.headers['x-accel-redirect'], undefined)
})

test('a file that is told, but beyond a symbolic link by now, is not served', async () => {
  await using served = await open()
  const { store, files } = served.subject
  await put(store, 'd/x', 'one')
  await rename(join(files, 'd'), join(files, 'e'))
  await symlink('e', join(files, 'd'))
  assert.equal((await served.app.inject('/files/d/x')).statusCode, 404)
  assert.deepEqual(await served.links(), [])
})

test('a link that is in use stays until it is idle', async () => {
  await using served = await open()
  await put(served.subject.store, 'x', 'one')
  await served.app.inject('/files/x')
  await served.subject.store.serveLinks.retire(60_000)
  assert.equal((await served.links()).length, 1)
})

test('the link of a file that was replaced or moved goes without a change', async () => {
  await using served = await open()
  const { store, files } = served.subject
  await put(store, 'x', 'one')
  await put(store, 'y', 'two')
  await served.app.inject('/files/x')
  await served.app.inject('/files/y')
  await put(store, 'x', 'three')
  await rename(join(files, 'y'), join(files, 'z'))
  await store.serveLinks.retire(0)
  assert.deepEqual(await served.links(), [])
  assert.notEqual((await store.find(pathOf('x')))?.etag, undefined)
})

test('the broker answers by itself where nginx would answer otherwise', async () => {
  await using served = await open()
  const stored = await put(served.subject.store, 'x', '0123456789')
  const get = (headers: Record<string, string>) => served.app.inject({ url: '/files/x', headers })
  const isSentByBroker = async (headers: Record<string, string>) =>
    (await get(headers)).headers['x-accel-redirect'] === undefined
  assert.equal((await get({ 'if-none-match': stored.etag })).statusCode, 304)
  assert.equal((await get({ 'if-match': '"x"' })).statusCode, 412)
  assert.equal((await get({ range: 'bytes=10-' })).statusCode, 416)
  assert.equal((await get({ 'if-match': stored.etag })).body, '0123456789')
  assert.equal((await get({ range: 'bytes=5-1' })).body, '0123456789')
  assert.ok(await isSentByBroker({ 'if-match': stored.etag }))
  assert.ok(await isSentByBroker({ range: 'nonsense=1' }))
  assert.ok(!(await isSentByBroker({ range: 'bytes=1-2' })))
  assert.ok(!(await isSentByBroker({ range: 'bytes=1-2', 'if-range': '"x"' })))
  assert.ok(!(await isSentByBroker({ 'if-none-match': '"x"' })))
})

test('a file that not everybody may read, and the users file, are sent by the broker', async () => {
  await using served = await open()
  await put(served.subject.store, 'x', 'private')
  await chmod(join(served.subject.files, 'x'), 0o600)
  assert.equal((await served.app.inject('/files/x')).body, 'private')
  await put(served.subject.store, 'config/broker_users.xml', '<users/>')
  const users = await served.app.inject('/files/config/broker_users.xml')
  assert.equal(users.body, '<users/>')
  assert.equal(users.headers['x-accel-redirect'], undefined)
})

test('a link that somebody else made beside ours is noticed', async () => {
  await using served = await open()
  await put(served.subject.store, 'x', 'one')
  await served.app.inject('/files/x')
  await link(join(served.subject.files, 'x'), join(served.subject.directory, 'elsewhere'))
  assert.equal((await served.app.inject('/files/x')).statusCode, 404)
})

test('links that a killed broker left behind go, and their files stay told', async () => {
  await using served = await open()
  const { store, index, volumes } = served.subject
  for (const path of ['a', 'b', 'c']) await put(store, path, path)
  for (const path of ['a', 'b']) await served.app.inject(`/files/${path}`)
  await put(store, 'b', 'another')
  const volume = volumes.at('') ?? assert.fail()
  await sweepServeLinks(volume, index)
  assert.deepEqual(await served.links(), [])
  await using later = openAgain(served.subject)
  for (const path of ['a', 'b', 'c']) {
    assert.notEqual((await later.find(pathOf(path)))?.etag, undefined, path)
  }
})

/** Another store over the same directories, which knows of no links. */
function openAgain(subject: DiskStoreUnderTest): DiskFileStore {
  const { volumes, index, locks } = subject
  return new DiskFileStore({ volumes, index, locks, hasher: new ContentHasher() })
}
