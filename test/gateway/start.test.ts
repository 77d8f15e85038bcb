import assert from 'node:assert/strict'
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { UsersInForce } from '../../src/gateway/users-in-force.ts'
import { BROKER, BrokerProcess, run } from '../support/broker-process.ts'
import { startGateway } from '../support/gateway.ts'

/** What a broker that does not start says last, and its exit code. */
async function failure(cwd: string, ...flags: string[]) {
  const { code, stderr } = await run(process.execPath, [BROKER, 'serve', ...flags], {
    cwd,
    mayFail: true,
  })
  return { code, said: stderr.trim().split('\n').at(-1) ?? '' }
}

test('a users file that was taken away is not replaced: the last good one is in force', async () => {
  let broker = await startGateway()
  try {
    const file = join(broker.directory, 'config/broker_users.xml')
    await rm(file)
    broker = await broker.restart()
    await assert.rejects(access(file))
    const event = { method: 'POST', body: '{}' }
    const published = await broker.request('/events/ci/jenkins/build', { ...event, as: 'jenkins' })
    assert.equal(published.status, 201)
    assert.match(await (await broker.request('/readyz')).text(), /the last good one holds/)
  } finally {
    await broker[Symbol.asyncDispose]()
  }
})

test('why a broker does not start is its last line, with what helps', async () => {
  await using running = await BrokerProcess.start()
  const { directory, port } = running
  const other = ['--data=other', '--zmq-subscribe=off', '--zmq-session=off']
  assert.deepEqual(await failure(directory, ...other, `--listen=127.0.0.1:${port}`), {
    code: 1,
    said:
      `The broker did not start: 127.0.0.1:${port} is taken by another program: stop it, or choose ` +
      'another --listen',
  })
  const same = await failure(directory, ...other.slice(1), '--listen=127.0.0.1:0')
  assert.match(same.said, /^The broker did not start: .*another broker runs with this --data$/)
  const policy = await failure(directory, ...other, '--listen=127.0.0.1:0', '--file-policy=gone')
  assert.equal(policy.code, 2)
  assert.match(policy.said, /^The broker did not start: --file-policy: .*gone cannot be read/)
})

test('the shipped users file is copied where there is none, without a credential', async () => {
  const home = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    const log = pino({ level: 'silent' })
    const file = join(home, 'config/broker_users.xml')
    await using users = await UsersInForce.open({ file, data: join(home, 'data'), log })
    assert.match(await readFile(users.adminTokenFile ?? '', 'utf8'), /^dbk_/)
    assert.doesNotMatch(await readFile(file, 'utf8'), /sha256="[0-9a-f]{64}"/)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('the shipped users file is for new installations, whatever directory they have', async () => {
  const home = await mkdtemp(join(tmpdir(), 'broker-'))
  try {
    await mkdir(join(home, 'data/state'), { recursive: true })
    await writeFile(join(home, 'data/state/users.last-good.xml'), 'no users file')
    const { code, said } = await failure(home, '--listen=127.0.0.1:0')
    assert.equal(code, 1)
    assert.match(said, /broker_users\.xml:1:1: there is no users file$/)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})
