import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeBroker, problem } from '../client/fake-broker.ts'
import { ended, runBroker, startBroker } from './broker-process.ts'

const sha256 = createHash('sha256').update('abc').digest('hex')
const etag = `"sha256-${createHash('sha256').update('abc').digest('base64url')}"`
const stored = { path: 'b/app.txt', size: 3, sha256, etag, position: 'e:1' }

interface Place extends AsyncDisposable {
  readonly cwd: string
  readonly broker: FakeBroker
  run(...args: string[]): ReturnType<typeof runBroker>
}

async function setUp(): Promise<Place> {
  const cwd = await mkdtemp(join(tmpdir(), 'broker-'))
  const broker = await FakeBroker.start()
  return {
    cwd,
    broker,
    run: (...args) => runBroker(args, { cwd, env: { BROKER_URL: broker.url } }),
    async [Symbol.asyncDispose]() {
      await broker[Symbol.asyncDispose]()
      await rm(cwd, { recursive: true })
    },
  }
}

test('put states the digest and the length, and prints the digest and the path', async () => {
  await using place = await setUp()
  place.broker.answerWith({ status: 201, json: stored })
  await writeFile(join(place.cwd, 'app.txt'), 'abc')
  const { code, stdout, stderr } = await place.run('put', 'app.txt', 'b/', '--no-replace')
  assert.deepEqual([code, stdout, stderr], [0, `${sha256}  b/app.txt\n`, ''])
  const [request] = place.broker.requests
  assert.equal(request?.url, '/files/b/app.txt')
  assert.equal(String(request?.body), 'abc')
  assert.equal(request?.headers['content-length'], '3')
  assert.equal(request?.headers['authorization'], 'Bearer dbk_x')
  assert.equal(request?.headers['if-none-match'], '*')
  const base64 = Buffer.from(sha256, 'hex').toString('base64')
  assert.equal(request?.headers['repr-digest'], `sha-256=:${base64}:`)
})

test('put repeats an upload whose answer was lost', async () => {
  await using place = await setUp()
  place.broker.answerWith('drop', { json: stored })
  await writeFile(join(place.cwd, 'app.txt'), 'abc')
  const { code, stdout } = await place.run('put', 'app.txt', 'b/app.txt', '--json')
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout), stored)
  assert.deepEqual(
    place.broker.requests.map(({ body }) => String(body)),
    ['abc', 'abc'],
  )
})

test('put takes stdin, and notices when something else was stored', async () => {
  await using place = await setUp()
  const env = { BROKER_URL: place.broker.url }
  place.broker.answerWith({ status: 201, json: stored })
  assert.equal((await runBroker(['put', '-', 'b/app.txt'], { env, stdin: 'abc' })).code, 0)
  assert.equal(String(place.broker.requests[0]?.body), 'abc')
  const other = await runBroker(['put', '-', 'b/app.txt'], { env, stdin: 'abd' })
  assert.equal(other.code, 5)
  assert.match(other.stderr, /DIGEST_MISMATCH/)
})

test('put refuses a directory with a hint, and tells of a file that is not there', async () => {
  await using place = await setUp()
  const directory = await place.run('put', '.', 'b/x')
  assert.equal(directory.code, 2)
  assert.match(directory.stderr, /is a directory.*tar -cz/)
  const missing = await place.run('put', 'none', 'b/x')
  assert.deepEqual([missing.code, missing.stdout], [1, ''])
  assert.equal(missing.stderr, 'broker: cannot read none: no such file or directory\n')
  assert.equal(place.broker.requests.length, 0)
})

test('get writes the file whole, under its own name or another', async () => {
  await using place = await setUp()
  place.broker.answerWith({ body: 'abc', headers: { etag } })
  await mkdir(join(place.cwd, 'd'))
  await writeFile(join(place.cwd, 'real'), 'old')
  await symlink('real', join(place.cwd, 'link'))
  for (const file of [[], ['other'], ['d'], ['link']]) {
    const { code, stdout, stderr } = await place.run('get', 'b/app.txt', ...file)
    assert.deepEqual([code, stdout, stderr], [0, '', ''])
  }
  for (const name of ['app.txt', 'other', 'd/app.txt', 'real']) {
    assert.equal(await readFile(join(place.cwd, name), 'utf8'), 'abc', name)
  }
  const names = (await readdir(place.cwd)).toSorted()
  assert.deepEqual(names, ['app.txt', 'd', 'link', 'other', 'real'])
})

test('get prints to stdout for -, and what it did with --json', async () => {
  await using place = await setUp()
  place.broker.answerWith({ body: 'abc', headers: { etag } })
  assert.deepEqual(await place.run('get', 'b/app.txt', '-'), { code: 0, stdout: 'abc', stderr: '' })
  const { stdout } = await place.run('get', 'b/app.txt', 'x', '--json')
  assert.deepEqual(JSON.parse(stdout), { path: 'b/app.txt', file: 'x', size: 3, sha256, etag })
})

test('get leaves the file as it was when the content is not what its digest says', async () => {
  await using place = await setUp()
  place.broker.answerWith({ body: 'abd', headers: { etag } })
  await writeFile(join(place.cwd, 'app.txt'), 'old')
  const { code, stderr } = await place.run('get', 'b/app.txt')
  assert.equal(code, 5)
  assert.match(stderr, /DIGEST_MISMATCH/)
  assert.equal(await readFile(join(place.cwd, 'app.txt'), 'utf8'), 'old')
  assert.deepEqual(await readdir(place.cwd), ['app.txt'])
})

test('get of a directory fails and writes nothing', async () => {
  await using place = await setUp()
  await writeFile(join(place.cwd, 'builds'), 'old')
  place.broker.answer = ({ url }) =>
    url === '/files/builds'
      ? { status: 307, headers: { location: 'builds/' } }
      : { json: { path: 'builds', entries: [], next: null } }
  const { code, stderr } = await place.run('get', 'builds')
  assert.equal(code, 5)
  assert.match(stderr, /builds is a directory/)
  assert.deepEqual(await readdir(place.cwd), ['builds'])
  assert.equal(await readFile(join(place.cwd, 'builds'), 'utf8'), 'old')
})

test('get that is interrupted ends with 130 and leaves nothing', async () => {
  await using place = await setUp()
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  place.broker.answer = () => {
    ask()
    return new Promise(() => {})
  }
  const env = { BROKER_URL: place.broker.url }
  const child = startBroker(['get', 'b/app.txt'], { cwd: place.cwd, env })
  await asked
  child.kill('SIGINT')
  assert.deepEqual(await ended(child), { code: 130, stdout: '', stderr: '' })
  assert.deepEqual(await readdir(place.cwd), [])
})

test('get to a device writes into it', async () => {
  await using place = await setUp()
  place.broker.answerWith({ body: 'abc', headers: { etag } })
  assert.equal((await place.run('get', 'b/app.txt', '/dev/null')).code, 0)
})

test('ls prints names, directories with a slash, or all that is known', async () => {
  await using place = await setUp()
  const modified = '2026-11-20T10:00:00.000Z'
  const entries = [
    { name: 'app.txt', type: 'file', size: 3, modified, etag },
    { name: 'd', type: 'directory', size: null, modified: null, etag: null },
  ]
  place.broker.answerWith({ json: { path: 'b', entries, next: null } })
  assert.equal((await place.run('ls', 'b')).stdout, 'app.txt\nd/\n')
  const long = await place.run('ls', '-l', 'b/')
  assert.match(long.stdout, /^ +3 {2}2026-11-20T10:00:00\.000Z {2}app\.txt\n +- {2}- +d\/\n$/)
  const { stdout } = await place.run('ls', '-r', '--json')
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    entries,
  )
  const urls = place.broker.requests.map(({ url }) => url)
  assert.deepEqual(urls, ['/files/b/', '/files/b/', '/files/?recursive'])
})

test('rm deletes a file, and with -r a directory or else a file', async () => {
  await using place = await setUp()
  place.broker.answer = ({ url }) =>
    url === '/files/f/?recursive' ? { status: 404, json: problem('NOT_FOUND') } : { status: 204 }
  assert.equal((await place.run('rm', 'a', 'b')).code, 0)
  assert.equal((await place.run('rm', '-r', 'd/')).code, 0)
  assert.equal((await place.run('rm', '-r', 'f')).code, 0)
  const urls = place.broker.requests.map(({ method, url }) => `${method} ${url}`)
  assert.deepEqual(urls, [
    'DELETE /files/a',
    'DELETE /files/b',
    'DELETE /files/d/?recursive',
    'DELETE /files/f/?recursive',
    'DELETE /files/f',
  ])
})

for (const [code, exit] of [
  ['UNAUTHENTICATED', 3],
  ['FORBIDDEN', 3],
  ['NOT_FOUND', 4],
  ['PRECONDITION_FAILED', 5],
  ['UNAVAILABLE', 6],
  ['TOO_LARGE', 1],
] as const) {
  test(`${code} from the broker ends the process with ${exit} and its words on stderr`, async () => {
    await using place = await setUp()
    const { status } = problem(code) as { status: number }
    place.broker.answerWith({ status, json: problem(code) })
    const ran = await place.run('rm', 'a', '--retry', '0')
    const hint =
      code === 'UNAUTHENTICATED'
        ? 'Set BROKER_TOKEN, or BROKER_TOKEN_FILE to a file that holds the token.\n'
        : ''
    const stderr = `broker: told ${code} (${code})\n${hint}`
    assert.deepEqual(ran, { code: exit, stdout: '', stderr })
  })
}

test('the faults of a validator are told one by one', async () => {
  await using place = await setUp()
  const errors = [{ message: 'unknown role "x"', line: 3, column: 5 }, { message: 'no end' }]
  place.broker.answerWith({ status: 422, json: problem('CONTENT_INVALID', { errors }) })
  const { code, stderr } = await place.run('put', '/dev/null', 'config/broker_users.xml')
  assert.equal(code, 1)
  assert.match(stderr, /CONTENT_INVALID\)\n {2}3:5: unknown role "x"\n {2}no end\n$/)
})

test('a broker that is not there ends it with 6', async () => {
  const { code, stderr } = await runBroker(['ls', '--retry', '0', '--url', 'http://127.0.0.1:1'])
  assert.equal(code, 6)
  assert.match(stderr, /^broker: cannot reach http:\/\/127\.0\.0\.1:1: /)
})

test('a command that takes longer than --timeout ends with 6', async () => {
  await using place = await setUp()
  place.broker.answer = () => new Promise(() => {})
  assert.equal((await place.run('ls', '--timeout', '0.05')).code, 6)
})

test('the token may come from a file, and a file that everybody may read is warned of', async () => {
  await using place = await setUp()
  place.broker.answerWith({ status: 204 })
  const file = join(place.cwd, 'token')
  await writeFile(file, 'dbk_file\n', { mode: 0o600 })
  const env = { BROKER_URL: place.broker.url, BROKER_TOKEN: '', BROKER_TOKEN_FILE: file }
  assert.equal((await runBroker(['rm', 'a'], { env })).stderr, '')
  assert.equal(place.broker.requests[0]?.headers['authorization'], 'Bearer dbk_file')
  await rm(file)
  await writeFile(file, 'dbk_file\n', { mode: 0o644 })
  assert.match((await runBroker(['rm', 'a'], { env })).stderr, /warning: everybody may read/)
  await rm(file)
  assert.equal((await runBroker(['rm', 'a'], { env })).code, 2)
})

test('a token that fits no header is refused without being shown', async () => {
  const env = { BROKER_TOKEN: 'dbk_secret\nx: y' }
  const { code, stderr } = await runBroker(['ls'], { env })
  assert.equal(code, 3)
  assert.doesNotMatch(stderr, /secret/)
})

test('files expiring tells what a policy would delete, and how much', async () => {
  await using place = await setUp()
  const policy = { rules: [{ paths: 'logs/**', retain: '1h' }] }
  await writeFile(join(place.cwd, 'policy.json'), JSON.stringify(policy))
  const ago = (ms: number) => new Date(Date.now() - ms).toISOString()
  const entry = (name: string, ms: number) => ({
    name,
    type: 'file',
    size: 10,
    modified: ago(ms),
    etag: null,
  })
  const entries = [entry('logs/new', 0), entry('logs/old', 7_200_000), entry('x', 7_200_000)]
  const listing = { path: '', entries, next: null }
  for (let i = 0; i < 2; i += 1) place.broker.answerWith({ json: listing })
  const old = await place.run('files', 'expiring', '--file-policy', 'policy.json')
  assert.equal(old.code, 0, old.stderr)
  assert.match(old.stdout, /^ +10 {2}\S+Z {2}logs\/old\n$/)
  assert.match(old.stderr, /1 files would go, and free 10 bytes/)
  assert.equal(place.broker.requests[0]?.url, '/files/?recursive')
  const within = ['--within', '1h', '--json', '--file-policy', 'policy.json']
  const soon = await place.run('files', 'expiring', ...within)
  const paths = soon.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).path)
  assert.deepEqual(paths, ['logs/new', 'logs/old'])
  const without = await place.run('files', 'expiring')
  assert.equal(without.code, 2)
})
