import assert from 'node:assert/strict'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  rmdir,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { restoreBackup } from '../../src/gateway/backup/restore-backup.ts'
import { swapIn } from '../../src/gateway/backup/swap-in.ts'
import { runBroker } from '../cli/broker-process.ts'
import { BrokerProcess } from '../support/broker-process.ts'
import { TOKENS } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

describe('a backup', () => {
  const DEEP = `files/builds/${'deep/'.repeat(25)}app.zip`
  let broker: BrokerProcess
  let archive: string
  let position: string
  let home: string
  let admin: Record<string, string>

  before(async () => {
    broker = await BrokerProcess.start()
    home = await mkdtemp(join(tmpdir(), 'backup-'))
    archive = join(home, 'backup.tar')
    admin = { authorization: `Bearer ${await broker.adminToken()}` }
    await put(DEEP, 'content')
    await utimes(join(broker.directory, 'data', DEEP), 1e9, 1e9)
    await publish('before')
    const env = { BROKER_TOKEN: '', BROKER_URL: broker.url }
    const made = await runBroker(['backup', archive, '--files'], { env, cwd: broker.directory })
    assert.equal(made.code, 0, made.stderr)
    position = (await publish('after')).position
    assert.equal(await broker.kill('SIGTERM'), 0)
  })

  after(async () => {
    await broker[Symbol.asyncDispose]()
    await rm(home, { recursive: true, force: true })
  })

  async function put(path: string, body: string): Promise<void> {
    const init = { method: 'PUT', body, headers: admin }
    assert.ok((await fetch(`${broker.url}/${path}`, init)).ok)
  }

  async function publish(body: string): Promise<{ position: string }> {
    const headers = { authorization: `Bearer ${TOKENS.jenkins}` }
    const url = `${broker.url}/events/ci/jenkins/app`
    return (await (await fetch(url, { method: 'POST', body, headers })).json()) as {
      position: string
    }
  }

  const restore = (...args: string[]) =>
    runBroker(['restore', ...args], { cwd: broker.directory, env: { BROKER_TOKEN: '' } })

  test('is for the account that made it alone', async () => {
    assert.equal((await stat(archive)).mode & 0o077, 0)
  })

  test('that is cut short or damaged anywhere changes nothing', async () => {
    const bytes = await readFile(archive)
    const bad = join(home, 'bad.tar')
    const data = join(home, 'data')
    const target = {
      data,
      database: join(data, 'state/broker.db'),
      files: join(data, 'files'),
      users: join(home, 'users.xml'),
      newEpoch: 'new',
      force: true,
    }
    await mkdir(join(data, 'state'), { recursive: true })
    const before = await readdir(home, { recursive: true })
    const refused = async (content: Uint8Array) => {
      await writeFile(bad, content)
      await assert.rejects(restoreBackup(bad, target), /damaged|cut short/)
      await rm(bad)
      assert.deepEqual(await readdir(home, { recursive: true }), before)
    }
    for (const share of [0, 0.1, 0.5, 0.99]) {
      await refused(bytes.subarray(0, Math.floor(bytes.length * share)))
    }
    // Of the end only the manifest is missing.
    await refused(bytes.subarray(0, bytes.lastIndexOf('manifest.json')))
    await refused(Buffer.concat([bytes.subarray(0, -1024), bytes]))
    const changes = [
      ['content', 'CONTENT'],
      ['SQLite format', 'sqlite'],
      ['<broker-users', '<'.repeat(5)],
      ['"hasFiles":true', '"hasFiles":null'],
      ['files/builds/', 'files/../ild/'],
    ] as const
    for (const [word, other] of changes) {
      const changed = Buffer.from(bytes)
      changed.write(other, changed.lastIndexOf(word))
      await refused(changed)
    }
  })

  test('replaces all places or, where one cannot be replaced, none', async () => {
    const places = ['a', 'b', 'c'].map((name) => join(home, name))
    for (const place of places) await writeFile(place, 'old')
    for (const place of places.slice(0, 2)) await writeFile(`${place}.new`, 'new')
    await assert.rejects(swapIn(places, '.new', '.old'), { code: 'ENOENT' })
    for (const place of places) assert.equal(await readFile(place, 'utf8'), 'old')
  })

  test('is not restored over data without --force', async () => {
    const { code, stderr } = await restore(archive)
    assert.equal(code, 1)
    assert.match(stderr, /not empty/)
  })

  test('is not restored over another users file or other files without --force', async () => {
    const live = join(broker.directory, 'config/broker_users.xml')
    const former = await readFile(live, 'utf8')
    const elsewhere = join(home, 'elsewhere')
    const users = join(elsewhere, 'users.xml')
    const files = join(elsewhere, 'files')
    const data = join(elsewhere, 'new/data')
    const args = [archive, '--data', data, '--users', users, '--files', `file:${files}`]
    const refused = async (words: string, ...given: string[]) => {
      const before = await readdir(elsewhere, { recursive: true })
      const { code, stderr } = await restore(...given)
      assert.equal(code, 1)
      assert.ok(stderr.includes(words), stderr)
      assert.deepEqual(await readdir(elsewhere, { recursive: true }), before)
    }
    await mkdir(files, { recursive: true })
    await writeFile(live, `${former}\n`)
    await refused(
      `${live} is there and is not that of the backup; --force sets`,
      archive,
      '--data',
      data,
    )
    assert.equal(await readFile(live, 'utf8'), `${former}\n`)
    await writeFile(live, former)
    await writeFile(users, former)
    await writeFile(join(files, 'here'), 'before')
    await refused(`${files} is not empty; --force sets it aside`, ...args)
    await refused('nope.tar is not there', join(home, 'nope.tar'), ...args.slice(1))

    const forced = await restore(...args, '--force')
    assert.equal(forced.code, 0, forced.stderr)
    const aside = (await readdir(elsewhere)).filter((name) => name.includes('.before-'))
    assert.equal(aside.length, 1)
    assert.ok(aside[0]?.startsWith('files.before-'))
    assert.deepEqual((await readdir(data)).sort(), ['state'])
    assert.ok(forced.stderr.includes(`${files} was replaced; it is now ${elsewhere}/${aside[0]}`))

    await rm(data, { recursive: true })
    await rm(files, { recursive: true })
    const again = await restore(...args)
    assert.equal(again.code, 0, again.stderr)
    assert.ok(!again.stderr.includes('replaced'))
    assert.equal(await readFile(join(files, DEEP.slice('files/'.length)), 'utf8'), 'content')
  })

  test('is restored with its files, and whoever knows more is told so', async () => {
    const done = await restore(archive, '--force')
    assert.equal(done.code, 0, done.stderr)
    await broker.restart()
    const headers = { authorization: `Bearer ${TOKENS.reader}` }
    const file = await fetch(`${broker.url}/${DEEP}`, { headers })
    assert.equal(await file.text(), 'content')
    assert.equal(file.headers.get('last-modified'), new Date(1e12).toUTCString())
    const url = `${broker.url.replace('http', 'ws')}/events/**?since=${position}`
    using socket = await TestSocket.open(url, { token: TOKENS.reader })
    await socket.wait((message) => message['data'] === 'before')
    const [missed] = socket.events
    assert.equal(missed?.['type'], 'EVENTS MISSED')
    assert.match(JSON.stringify(missed?.['data']), /"reason":"epoch"/)
    const files = socket.events.filter(({ topic }) => String(topic).startsWith('files/'))
    assert.deepEqual(
      files.map(({ type }) => type),
      ['FILE CREATED'],
    )
    assert.ok(!socket.data.includes('after'))
  })

  test('is not restored under a running broker', async () => {
    const { code, stderr } = await restore(archive, '--force')
    assert.equal(code, 1)
    assert.match(stderr, /in use/)
  })

  test('of another moment waits for its turn, also after one that was given up', async () => {
    const url = `${broker.url}/backup?files`
    const aborted = new AbortController()
    await put('files/builds/large', 'x'.repeat(30_000_000))
    const held = await fetch(url, { headers: admin, signal: aborted.signal })
    assert.equal(held.status, 200)
    assert.equal((await fetch(url, { headers: admin })).status, 429)
    aborted.abort()
    const taken = async () => {
      for (;;) {
        const response = await fetch(`${broker.url}/backup`, { headers: admin })
        await response.arrayBuffer()
        if (response.status !== 429) return response.status
      }
    }
    assert.equal(await taken(), 200)
    const state = join(broker.directory, 'data/state')
    assert.ok(!(await readdir(state)).includes('backup.db'))
    // One that fails before its first byte is a problem, and keeps nobody from the next.
    await mkdir(join(state, 'backup.db'))
    assert.equal(await taken(), 500)
    await rmdir(join(state, 'backup.db'))
    assert.equal(await taken(), 200)
  })
})
