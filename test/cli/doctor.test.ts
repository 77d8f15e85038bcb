import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { BrokerProcess } from '../support/broker-process.ts'
import { USERS_XML } from '../support/gateway.ts'
import { runBroker } from './broker-process.ts'

interface Finding {
  readonly check: string
  readonly verdict: string
  readonly detail: string
}

async function examined(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await runBroker(['doctor', '--json', ...args], { cwd })
  const lines = stdout.trim().split('\n')
  const findings = lines.map((line) => JSON.parse(line) as Finding)
  return { code, stderr, of: (check: string) => findings.find((one) => one.check === check) }
}

test('a running broker has no fault, and its database is left alone', async () => {
  await using broker = await BrokerProcess.start()
  const { code, of } = await examined(broker.directory)
  assert.equal(code, 0)
  assert.deepEqual(of('database')?.detail, 'in use by a running broker')
  // The administrator token lies there from the first start.
  assert.equal(of('users')?.verdict, 'warning')
})

test('what is wrong is said with its place and its fix', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    await mkdir(join(cwd, 'config'))
    await mkdir(join(cwd, 'data/state'), { recursive: true })
    await writeFile(join(cwd, 'data/files'), 'not a directory')
    await writeFile(join(cwd, 'data/state/broker.db'), 'not a database'.repeat(1000))
    const users = USERS_XML.replace('roles="ci"', 'roles="nobody"')
    await writeFile(join(cwd, 'config/broker_users.xml'), users)
    await writeFile(join(cwd, 'secret'), 'known to all', { mode: 0o644 })
    const proxy = ['--proxy=nginx', '--proxy-secret-file=secret']
    const { code, of } = await examined(cwd, ...proxy)
    assert.equal(code, 1)
    for (const check of ['users', 'files', 'database', 'proxy secret']) {
      assert.equal(of(check)?.verdict, 'fault', check)
    }
    assert.match(of('users')?.detail ?? '', /broker_users\.xml:\d+:\d+: .*nobody/)
    assert.match(of('files')?.detail ?? '', /no directory/)
    assert.match(of('proxy secret')?.detail ?? '', /chmod/)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
})
