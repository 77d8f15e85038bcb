import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { extract } from 'tar-stream'
import type { FileStore, OpenFile } from '../../src/files/store/file-store.ts'
import { MemoryFileStore } from '../../src/files/store/memory-file-store.ts'
import { pathOf } from '../contract/file-index.ts'
import { put } from '../contract/file-store.ts'
import { EVERYTHING, type FilesAppOptions, filesApp, principalWith } from './support-http.ts'
import { MemoryTeller } from './support-index.ts'
import { openDiskStore } from './support-store.ts'

const TAR = { accept: 'application/x-tar' }

async function listen(store: FileStore, options: FilesAppOptions = {}) {
  const app: FastifyInstance = filesApp(store, options)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, [Symbol.asyncDispose]: () => app.close() }
}

async function temporaryDirectory() {
  const path = await mkdtemp(join(tmpdir(), 'broker-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) }
}

/** Gives an archive to the tar of the system, and resolves with what it says. */
async function tar(args: readonly string[], archive: Response): Promise<string> {
  assert.equal(archive.status, 200)
  assert.ok(archive.body)
  const child = spawn('tar', ['-f', '-', ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const said = child.stdout.toArray()
  const [[code]] = await Promise.all([
    once(child, 'exit'),
    pipeline(Readable.fromWeb(archive.body as never), child.stdin),
  ])
  assert.equal(code, 0)
  return Buffer.concat(await said).toString()
}

const LONG = 'n'.repeat(180)
const CONTENTS: Readonly<Record<string, string | Buffer>> = {
  'out/a-b': 'sorted before a/',
  'out/a/empty': '',
  'out/a/large': Buffer.alloc(3_000_001, 'abc'),
  'out/a.txt': 'x'.repeat(512),
  'out/größe €/日本語.txt': 'names beyond ASCII',
  [`out/${LONG}`]: 'longer than a classic name',
  [`out/${LONG}/${LONG}/${LONG}/end`.replace(LONG, `d${LONG}`)]: 'longer than classic directories',
}

test('a directory is one archive of all that is below it, as tar unpacks it', async () => {
  await using subject = await openDiskStore()
  for (const [path, content] of Object.entries(CONTENTS)) await put(subject.store, path, content)
  await put(subject.store, 'other', 'not below it')
  // Before 1970 and after 2038.
  await utimes(join(subject.files, 'out/a/empty'), -86_400, -86_400)
  await utimes(join(subject.files, 'out/a.txt'), 4_102_444_800, 4_102_444_800)
  await using server = await listen(subject.store)
  await using target = await temporaryDirectory()
  const archive = await fetch(`${server.url}/files/out/`, { headers: TAR })
  assert.equal(archive.headers.get('content-type'), 'application/x-tar')
  assert.equal(archive.headers.get('content-disposition'), "attachment; filename*=UTF-8''out.tar")
  assert.equal(archive.headers.get('x-content-type-options'), 'nosniff')
  await tar(['-x', '--warning=no-timestamp', '-C', target.path], archive)
  const found = await readdir(target.path, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => entry.isFile())
  assert.equal(files.length, Object.keys(CONTENTS).length)
  for (const [path, content] of Object.entries(CONTENTS)) {
    const unpacked = join(target.path, path.slice('out/'.length))
    assert.deepEqual(await readFile(unpacked), Buffer.from(content), path)
    const [was, is] = [await stat(join(subject.files, path)), await stat(unpacked)]
    assert.equal(Math.floor(is.mtimeMs / 1000), Math.floor(was.mtimeMs / 1000), path)
  }
})

test('files come in the order of their paths, and the root and ?format=tar do as well', async () => {
  await using subject = await openDiskStore()
  for (const path of ['a/2', 'a-1', 'b', 'a/10']) await put(subject.store, path, path)
  await using server = await listen(subject.store)
  const all = await tar(['-t'], await fetch(`${server.url}/files/?format=tar`))
  assert.deepEqual(all.trim().split('\n'), ['a-1', 'a/10', 'a/2', 'b'])
  assert.equal((await fetch(`${server.url}/files/?format=zip`)).status, 406)
  const head = await fetch(`${server.url}/files/a/?format=tar`, { method: 'HEAD' })
  assert.equal(head.headers.get('content-type'), 'application/x-tar')
  assert.equal((await fetch(`${server.url}/files/c/`, { headers: TAR })).status, 404)
  assert.equal((await fetch(`${server.url}/files/a/`)).headers.get('content-type'), JSON_TYPE)
})

const JSON_TYPE = 'application/json; charset=utf-8'

test('an archive holds what may be read, file by file', async () => {
  const store = new MemoryFileStore(new MemoryTeller().tell)
  for (const path of ['a/open', 'a/secret', 'b/x', 'c/d/e']) await put(store, path, path)
  let principal = principalWith({ list: ['**'], read: ['a/open', 'c/**'] })
  await using server = await listen(store, { principal: () => principal })
  const names = async () =>
    (await tar(['-t'], await fetch(`${server.url}/files/`, { headers: TAR }))).trim().split('\n')
  assert.deepEqual(await names(), ['a/open', 'c/d/e'])
  const status = async (path: string) =>
    (await fetch(`${server.url}/files/${path}`, { headers: TAR })).status
  principal = principalWith({ read: ['c/**'] })
  assert.deepEqual([await status('c/'), await status('a/')], [200, 404])
  principal = principalWith({}, null)
  assert.equal(await status('a/'), 401)
})

test('a file that is edited in place while it is read breaks the archive off', async () => {
  await using subject = await openDiskStore()
  await put(subject.store, 'd/big', Buffer.alloc(64 * 2 ** 20, 'x'))
  await using server = await listen(subject.store)
  const archive = await fetch(`${server.url}/files/d/`, { headers: TAR })
  const reader = archive.body?.getReader()
  await reader?.read()
  await using file = await openFile(join(subject.files, 'd/big'), 'r+')
  await file.write('edited', 0)
  const rest = async () => {
    while ((await reader?.read())?.done === false);
  }
  await assert.rejects(rest())
})

test('who goes away in the middle leaves no file open', async () => {
  const closed = Promise.withResolvers<void>()
  const memory = new MemoryFileStore(new MemoryTeller().tell)
  await put(memory, 'd/huge', 'x')
  const size = 9 * 2 ** 30
  const huge: OpenFile = {
    path: pathOf('d/huge'),
    size,
    modifiedMs: 0,
    sha256: undefined,
    etag: undefined,
    read: async function* () {
      for (;;) yield Buffer.alloc(256 * 1024)
    },
    serveLink: () => Promise.resolve(undefined),
    [Symbol.asyncDispose]: async () => closed.resolve(),
  }
  const store: FileStore = Object.assign(Object.create(memory), { open: async () => huge })
  Object.assign(store, { list: memory.list.bind(memory) })
  await using server = await listen(store, { principal: () => principalWith(EVERYTHING) })
  const archive = await fetch(`${server.url}/files/d/`, { headers: TAR })
  const unpacking = extract()
  const header = once(unpacking, 'entry')
  const sent = pipeline(Readable.fromWeb(archive.body as never), unpacking)
  sent.catch(() => undefined)
  const [{ size: told }] = await header
  assert.equal(told, size)
  unpacking.destroy()
  await closed.promise
})

test('an empty directory is an empty archive', async () => {
  await using subject = await openDiskStore()
  await mkdir(join(subject.files, 'nothing'))
  await writeFile(join(subject.files, 'nothing/.hidden'), 'x')
  await using server = await listen(subject.store)
  assert.equal(await tar(['-t'], await fetch(`${server.url}/files/nothing/?format=tar`)), '')
})
