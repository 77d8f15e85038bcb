import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, globSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { ROOT, run } from '../support/broker-process.ts'
import { freePort } from '../support/nginx.ts'
import { requireNoSecretInLogs } from '../support/secrets-in-logs.ts'

const MISSING = existsSync('/usr/bin/dpkg-deb')
  ? !existsSync(join(ROOT, 'node_modules/node/bin/node')) && 'the pinned Node is not installed'
  : 'dpkg-deb is not here'
const NOT_ROOT = process.getuid?.() !== 0 && 'only root installs packages'

/** What another root has before a package is installed below it: accounts, and the list of dpkg. */
async function makeRoot(root: string): Promise<void> {
  for (const name of ['etc', 'var/lib/dpkg/info']) {
    await mkdir(join(root, name), { recursive: true })
  }
  await chmod(root, 0o755)
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n')
  for (const name of ['etc/shadow', 'etc/gshadow', 'var/lib/dpkg/status']) {
    await writeFile(join(root, name), '')
  }
}

/** The scripts of the package run outside of the root, as dpkg does for a system that is being built. */
async function dpkg(root: string, ...args: string[]): Promise<string> {
  const forced = ['--force-script-chrootless', '--force-depends', '--no-triggers']
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { stdout, stderr } = await run('dpkg', [`--root=${root}`, ...forced, ...args], { env })
  return stdout + stderr
}

/** The files below the root and what is named for the product, but neither accounts nor what dpkg notes. */
async function contentOf(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory() || entry.name.includes('data-broker'))
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .filter((path) => !/^var\/lib\/dpkg\/|^etc\/(?!data-broker)[^/]+$/.test(path))
}

async function accountOf(root: string): Promise<{ readonly uid: number; readonly gid: number }> {
  const passwd = await readFile(join(root, 'etc/passwd'), 'utf8')
  const [, uid, gid] = /^data-broker:x:(\d+):(\d+):/m.exec(passwd) ?? []
  assert.ok(Number(uid) > 0 && Number(gid) > 0, passwd)
  return { uid: Number(uid), gid: Number(gid) }
}

/** @returns what it has written by then */
async function started(child: ChildProcess): Promise<() => string> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let log = ''
  child.once('exit', (code) => reject(new Error(`the broker ended with ${code}: ${log}`)))
  assert.ok(child.stderr)
  createInterface({ input: child.stderr }).on('line', (line) => {
    log += `${line}\n`
    if (line.startsWith('Data Broker on')) resolve()
  })
  await promise
  return () => log
}

describe('the Debian package', { skip: MISSING }, () => {
  let directory = ''
  let file = ''

  async function build(name: string): Promise<string> {
    const out = join(directory, name)
    const args = ['scripts/package-deb.ts', '--out', out, '--compress', 'none']
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1767225600', TMPDIR: directory }
    const { stdout } = await run(process.execPath, args, { cwd: ROOT, env })
    return stdout.trim()
  }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'deb-'))
    await chmod(directory, 0o755)
    file = await build('first')
  })
  after(() => rm(directory, { recursive: true }))

  test('is the same whenever it is built', async () => {
    const former = process.umask(0o077)
    const again = await build('second').finally(() => process.umask(former))
    const [one, other] = await Promise.all([file, again].map((path) => readFile(path)))
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    assert.equal(digest(one ?? Buffer.of()), digest(other ?? Buffer.of()))
    await rm(again)
  })

  test('holds nothing but the product, for this machine', async () => {
    const { stdout } = await run('dpkg-deb', ['--contents', file])
    const paths = stdout.split('\n').map((line) => line.split(' ./')[1] ?? '')
    const at = (pattern: RegExp) => paths.filter((path) => pattern.test(path))
    assert.deepEqual(at(/node_modules\/(?:typescript|@biomejs|node|fast-check)\//), [])
    assert.deepEqual(at(/\.ts$/), [])
    assert.deepEqual(at(/\/(?:win32|darwin|musl[^/]*)\//), [])
    assert.notEqual(at(/zeromq\/build\/linux\/\w+\/node\/.*\.node$/).length, 0)
    assert.deepEqual(at(/^etc\/.*[^/]$/), ['etc/data-broker/broker.json'])
  })

  test('holds whatever its pages lead to', async () => {
    const root = join(directory, 'extracted')
    await run('dpkg-deb', ['--extract', file, root])
    const pages = globSync('usr/share/doc/data-broker/**/*.md', { cwd: root })
    const links = await Promise.all(
      pages.map(async (page) => {
        const text = await readFile(join(root, page), 'utf8')
        const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        return targets.map(([, target = '']) => join(dirname(page), target))
      }),
    )
    const found = links.flat()
    assert.ok(found.includes('usr/share/doc/data-broker/config/broker_users.xml'))
    assert.ok(found.some((path) => path.endsWith('grafana/data-broker.json')))
    const units = globSync('usr/lib/systemd/system/*.service', { cwd: root })
    for (const unit of units) {
      const text = await readFile(join(root, unit), 'utf8')
      for (const [, page = ''] of text.matchAll(/file:\/\/\/(\S+)/g)) found.push(page)
    }
    const missing = found.filter((path) => !existsSync(join(root, path)))
    assert.deepEqual(missing, [])
  })

  test('is installed, runs as its account, and goes without a trace but its account', {
    skip: NOT_ROOT,
  }, async () => {
    const root = join(directory, 'root')
    await makeRoot(root)
    await dpkg(root, '--install', file)
    assert.equal((await stat(join(root, 'etc/data-broker'))).uid, (await accountOf(root)).uid)
    assert.deepEqual(globSync('etc/systemd/system/*.wants/*', { cwd: root }), [
      'etc/systemd/system/multi-user.target.wants/data-broker.service',
    ])

    await publishAndReceive(root)

    await dpkg(root, '--install', file)
    await dpkg(root, '--remove', 'data-broker')
    assert.ok(!existsSync(join(root, 'usr/lib/data-broker')))
    const kept = ['etc/data-broker/broker.json', 'var/lib/data-broker/state/broker.db']
    for (const path of kept) assert.ok(existsSync(join(root, path)), path)

    await dpkg(root, '--purge', 'data-broker')
    assert.deepEqual(await contentOf(root), [])
    assert.ok((await accountOf(root)).uid > 0)
  })
})

/** Runs the installed broker, publishes with the installed command and receives what was published. */
async function publishAndReceive(root: string): Promise<void> {
  const broker = join(root, 'usr/bin/broker')
  const account = await accountOf(root)
  const data = join(root, 'var/lib/data-broker')
  const port = await freePort()
  const env = {
    PATH: process.env['PATH'] ?? '',
    BROKER_DATA: data,
    BROKER_USERS: join(root, 'etc/data-broker/broker_users.xml'),
    BROKER_LISTEN: `127.0.0.1:${port}`,
    BROKER_ZMQ_SUBSCRIBE: `tcp://127.0.0.1:${await freePort()}`,
    BROKER_ZMQ_SESSION: `tcp://127.0.0.1:${await freePort()}`,
  }
  const child = spawn(broker, ['serve'], {
    ...account,
    env,
    cwd: data,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  try {
    const log = await started(child)
    const client = {
      PATH: env.PATH,
      BROKER_URL: `http://127.0.0.1:${port}`,
      BROKER_TOKEN_FILE: join(data, 'admin.token'),
    }
    const { stdout: version } = await run(broker, ['--version'], { env: client })
    const { version: ours } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'))
    assert.equal(version.trim(), `broker ${ours}`)
    await run(broker, ['publish', 'ci/app', '{"build":42}'], { env: client })
    const asked = ['subscribe', 'ci/**', '--since', 'earliest', '--count', '1']
    const { stdout } = await run(broker, asked, { env: client })
    assert.deepEqual(JSON.parse(stdout).data, { build: 42 })
    const places = { directory: join(root, 'var/lib'), data: 'data-broker' }
    await requireNoSecretInLogs(log(), places)
  } finally {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
}
