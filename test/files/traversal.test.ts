import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { link, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { filesApp } from './support-http.ts'
import { openDiskStore } from './support-store.ts'

/** A word that only files outside of the volume hold. */
const SECRET = 'ONLY-OUTSIDE'

/** Names that may be asked for: many of them are traps that lie in the volume. */
const NAMES = [
  'dir',
  'inside.txt',
  'dirlink',
  'filelink',
  'dangling',
  'absolute',
  'loop',
  'hard',
  'pipe',
  'outside',
  'secret',
  'users.xml',
  'new',
  'etc',
  'passwd',
  'proc',
  'self',
  'fd',
  '0',
  'C:',
  '%2a%2a',
  '...',
  '%c3%a9',
  '%252e%252e',
  '..%252f',
]

/** Every known way to write a dot, a slash or a NUL, and names that are never served. */
const TRICKS = [
  '..',
  '.',
  '',
  '%2e%2e',
  '%2E.',
  '.%2e',
  '%c0%ae%c0%ae',
  '%uff0e%uff0e',
  '%ef%bc%8e%ef%bc%8e',
  '..%2f',
  '..%5c',
  '..\\',
  '..;',
  '..%00',
  '%00',
  '%0a',
  '%e2%80%ae',
  '..%c0%af',
  '%2f',
  '%5c',
  '..%2foutside%2fsecret',
  '..%2f..%2foutside',
  '.broker-volume',
  '.hidden',
  'config',
  'broker_users.xml',
  '..%2fdata%2fstate',
  'a'.repeat(300),
  '~',
  'x.tmp',
  '*',
  '?',
  '#',
  'é',
  'e%cc%81',
]

const name = fc.constantFrom(...NAMES)
const trick = fc.constantFrom(...TRICKS)
const attempt = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE'),
  prefix: fc.oneof(
    { weight: 5, arbitrary: fc.constant('/files/') },
    fc.constantFrom('/files//', '/%66iles/', '/files/./', '/files/../files/', '/files/dir/../'),
  ),
  pieces: fc.oneof(
    fc.array(name, { minLength: 1, maxLength: 4 }),
    fc.array(fc.oneof(name, trick), { minLength: 1, maxLength: 6 }),
  ),
  slash: fc.oneof({ weight: 8, arbitrary: fc.constant('') }, fc.constantFrom('/', '/?recursive')),
})

test('no way to write a path reads or writes anything outside of the volume', async () => {
  await using subject = await openDiskStore()
  const { directory, files } = subject
  await layTraps(directory, files)
  const app = filesApp(subject.store)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  try {
    const outside = await snapshotOf(directory)
    const attempts = fc.sample(attempt, { numRuns: 2400, seed: 20_261_120 })
    const isUsed = new Set<string>()
    for (let at = 0; at < attempts.length; at += 40) {
      const batch = attempts.slice(at, at + 40)
      await Promise.all(
        batch.map(async ({ method, prefix, pieces, slash }) => {
          const target = prefix + pieces.join('/') + slash
          const answer = await ask(port, method, target)
          isUsed.add(answer.slice(9, 12))
          assert.ok(!answer.includes(SECRET), `${method} ${target} read what is outside`)
          assert.ok(!/^HTTP\/1\.1 5/.test(answer), `${method} ${target}: ${answer}`)
        }),
      )
    }
    assert.deepEqual(await snapshotOf(directory), outside)
    // The corpus is worth something only if it also meets what works.
    for (const status of ['200', '201', '204', '400', '404', '409'])
      assert.ok(isUsed.has(status), status)
  } finally {
    await app.close()
  }
})

test('links and special files inside of the volume are in the way and nothing else', async () => {
  await using subject = await openDiskStore()
  const { directory, files } = subject
  await layTraps(directory, files)
  const app = filesApp(subject.store)
  const names = ['filelink', 'dangling', 'absolute', 'loop', 'hard', 'pipe', 'dirlink']
  for (const name of names) {
    assert.equal((await app.inject(`/files/${name}`)).statusCode, 404, name)
    const put = { method: 'PUT', url: `/files/${name}`, payload: 'x' } as const
    assert.equal((await app.inject(put)).json().code, 'PATH_CONFLICT', name)
    const remove = { method: 'DELETE', url: `/files/${name}` } as const
    assert.equal((await app.inject(remove)).statusCode, 404, name)
  }
  for (const name of ['dirlink/secret', 'loop/x', 'dangling/x', 'pipe/x']) {
    assert.equal((await app.inject(`/files/${name}`)).statusCode, 404, name)
    const put = { method: 'PUT', url: `/files/${name}`, payload: 'x' } as const
    assert.equal((await app.inject(put)).json().code, 'PATH_CONFLICT', name)
  }
  for (const url of ['/files/dirlink/', '/files/loop/', '/files/pipe/']) {
    assert.equal((await app.inject(url)).statusCode, 404, url)
    assert.equal((await app.inject({ method: 'DELETE', url: `${url}?recursive` })).statusCode, 404)
  }
  const listed = (await app.inject('/files/?recursive')).json().entries
  assert.deepEqual(
    listed.map(({ name }: { name: string }) => name),
    ['dir/inside.txt', 'inside.txt'],
  )
  assert.equal(await readFile(join(directory, 'outside', 'secret'), 'utf8'), SECRET)
  await app.close()
})

test('a directory that becomes a link while it is used leads nowhere else', async () => {
  await using subject = await openDiskStore()
  const { directory, files } = subject
  await layTraps(directory, files)
  const outside = await snapshotOf(directory)
  const app = filesApp(subject.store)
  const swaps = (async () => {
    for (let i = 0; i < 60; i += 1) {
      await rm(join(files, 'swap'), { recursive: true, force: true })
      if (i % 2 === 0) await symlink('../../outside', join(files, 'swap'))
      else await mkdir(join(files, 'swap'), { recursive: true })
    }
  })()
  const uses = Array.from({ length: 60 }, async (_, i) => {
    const url = i % 3 === 0 ? '/files/swap/secret' : `/files/swap/new-${i}`
    const method = i % 3 === 0 ? 'GET' : 'PUT'
    const answer = await app.inject({ method, url, ...(method === 'PUT' && { payload: 'x' }) })
    assert.ok(!answer.body.includes(SECRET))
  })
  await Promise.all([swaps.catch(() => undefined), ...uses])
  assert.deepEqual(await snapshotOf(directory), outside)
  await app.close()
})

async function layTraps(directory: string, files: string): Promise<void> {
  const outside = join(directory, 'outside')
  await mkdir(outside)
  await writeFile(join(outside, 'secret'), SECRET)
  await writeFile(join(outside, 'hard'), SECRET)
  await writeFile(join(directory, 'users.xml'), SECRET)
  await mkdir(join(files, 'dir'))
  await writeFile(join(files, 'inside.txt'), 'inside')
  await writeFile(join(files, 'dir', 'inside.txt'), 'inside')
  await symlink('../../outside', join(files, 'dirlink'))
  await symlink('../../../outside', join(files, 'dir', 'dirlink'))
  await symlink('../../outside/secret', join(files, 'filelink'))
  await symlink('../../outside/not-there', join(files, 'dangling'))
  await symlink(join(outside, 'secret'), join(files, 'absolute'))
  await symlink('loop', join(files, 'loop'))
  await link(join(outside, 'hard'), join(files, 'hard'))
  await promisify(execFile)('mkfifo', [join(files, 'pipe')])
}

/** Everything outside of the volume and the broker's own state: names, contents and times of change. */
async function snapshotOf(directory: string): Promise<Record<string, string>> {
  const snapshot: Record<string, string> = {}
  for (const name of ['.', 'data', 'outside']) {
    snapshot[name] = (await readdir(join(directory, name))).sort().join()
  }
  for (const name of ['outside/secret', 'users.xml', 'outside']) {
    const file = join(directory, name)
    const { ctimeNs, nlink } = await lstat(file, { bigint: true })
    snapshot[`${name} state`] = `${ctimeNs} ${nlink}`
  }
  for (const name of ['outside/secret', 'outside/hard', 'users.xml']) {
    snapshot[`${name} content`] = await readFile(join(directory, name), 'utf8')
  }
  return snapshot
}

/** Sends the target as it is: clients of libraries would tidy it up. */
function ask(port: number, method: string, target: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect(port, '127.0.0.1')
  const hasBody = method === 'PUT' || method === 'POST'
  const head = `${method} ${target} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n`
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', reject)
  socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
  // Not ended: Node takes a half-closed connection for one whose client is gone.
  socket.write(head + (hasBody ? 'Content-Length: 1\r\n\r\nx' : '\r\n'))
  return promise
}
