import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Finding } from '../../src/gateway/doctor/finding.ts'
import { BrokerBehindNginx, BrokerProcess } from '../support/broker-process.ts'
import { USERS_XML } from '../support/gateway.ts'
import { freePort, NGINX_MISSING } from '../support/nginx.ts'
import { runBroker } from './broker-process.ts'

async function examined(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await runBroker(['doctor', '--json', ...args], { cwd })
  const { verdict, findings } = JSON.parse(stdout) as {
    verdict: string
    findings: readonly Finding[]
  }
  const of = (check: string) => findings.filter((one) => one.check === check)
  const problems = findings.filter((one) => one.verdict === 'problem')
  return { code, stderr, verdict, of, problems }
}

test('a running broker has no problem, and its database is left alone', async () => {
  await using broker = await BrokerProcess.start()
  const { code, of, problems } = await examined(broker.directory, ...broker.settings)
  assert.deepEqual(problems, [])
  assert.equal(code, 0)
  assert.equal(of('database')[0]?.detail, 'in use by a running broker')
  assert.match(of('broker')[0]?.detail ?? '', /^\d+\.\d+\.\d+ runs on 127\.0\.0\.1:\d+$/)
  assert.equal(of('broker')[1]?.detail, 'it is ready')
  // The administrator token lies there from the first start.
  assert.equal(of('users')[0]?.verdict, 'warning')
})

test('endpoints on which the running broker does not listen are told', async () => {
  await using broker = await BrokerProcess.start()
  const other = `--zmq-session=tcp://127.0.0.1:${await freePort()}`
  const settings = broker.settings.filter((flag) => !flag.startsWith('--zmq-session'))
  const { of } = await examined(broker.directory, ...settings, other)
  assert.equal(of('broker').at(-1)?.verdict, 'warning')
})

test('a port that another program has is told', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'doctor-'))
  const other = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(other, 'listening')
  try {
    const { port } = other.address() as AddressInfo
    const free = [`--zmq-session=tcp://127.0.0.1:${await freePort()}`, '--zmq-subscribe=off']
    const taken = await examined(cwd, `--listen=127.0.0.1:${port}`, ...free)
    assert.equal(taken.code, 1)
    assert.match(taken.problems[0]?.detail ?? '', /^another program answers on 127/)
    const zmq = `--zmq-session=tcp://127.0.0.1:${port}`
    const session = await examined(cwd, `--listen=127.0.0.1:${await freePort()}`, zmq)
    assert.match(session.problems[0]?.detail ?? '', /cannot be opened \(EADDRINUSE\)/)
    assert.match(session.problems[0]?.fix ?? '', /ss -ltnp/)
  } finally {
    other.close()
    await rm(cwd, { recursive: true })
  }
})

test('what is wrong is said with its place and its fix', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    await mkdir(join(cwd, 'config'))
    await mkdir(join(cwd, 'data/state'), { recursive: true })
    await writeFile(join(cwd, 'data/files'), 'not a directory')
    await writeFile(join(cwd, 'data/state/broker.db'), 'not a database'.repeat(1000))
    await chmod(join(cwd, 'data/state'), 0o777)
    const users = USERS_XML.replace('roles="ci"', 'roles="nobody"')
    await writeFile(join(cwd, 'config/broker_users.xml'), users)
    await writeFile(join(cwd, 'secret'), 'known to all', { mode: 0o644 })
    await writeFile(join(cwd, 'policy.json'), '{"quota": "much"}')
    const proxy = ['--proxy=nginx', '--proxy-secret-file=secret', '--file-policy=policy.json']
    const { code, verdict, of, problems } = await examined(cwd, ...proxy)
    assert.equal(code, 1)
    assert.equal(verdict, 'problem')
    const wrong = new Set(problems.map(({ check }) => check))
    for (const check of ['users', 'directories', 'database', 'secrets', 'file policy']) {
      assert.ok(wrong.has(check), check)
    }
    for (const { fix } of problems) assert.ok(fix)
    const details = problems.map(({ detail }) => detail).join('\n')
    assert.match(details, /broker_users\.xml:\d+:\d+: .*nobody/)
    assert.match(details, /files is no directory/)
    assert.match(details, /everybody may write into .*state$/m)
    assert.match(of('secrets').find((one) => one.verdict === 'problem')?.fix ?? '', /^chmod/)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
})

test('a directory of another account is told to root', {
  skip: process.getuid?.() !== 0 && 'only root gives files away',
}, async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    await mkdir(join(cwd, 'data/files'), { recursive: true })
    await chown(join(cwd, 'data'), 65_534, 65_534)
    const { problems } = await examined(cwd)
    assert.ok(problems.some(({ detail }) => /data\/files cannot be written by/.test(detail)))
  } finally {
    await rm(cwd, { recursive: true })
  }
})

test('an Nginx without an account of its own before a unix socket is told to root', {
  skip: NGINX_MISSING || (process.getuid?.() !== 0 && 'only root starts it as another'),
}, async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    const saysAccount = async (...flags: string[]) => {
      const listen = `--listen=unix:${cwd}/b.sock`
      const { stderr, code } = await runBroker(['nginx', '--dir=front', listen, ...flags], { cwd })
      assert.equal(code, 0, stderr)
      const { of } = await examined(cwd, listen, `--nginx=${cwd}/front`)
      return of('nginx').some(({ detail }) => /account of Nginx may not open/.test(detail))
    }
    assert.equal(await saysAccount(), true)
    assert.equal(await saysAccount('--user=root'), false)
  } finally {
    await rm(cwd, { recursive: true })
  }
})

test('the Nginx that runs in front is found and examined, and so is one that is named', {
  skip: NGINX_MISSING,
}, async () => {
  await using behind = await BrokerBehindNginx.start()
  const { directory, settings } = behind.broker
  const prefix = join(directory, 'nginx')
  const secret = settings.find((flag) => flag.startsWith('--proxy-secret-file='))?.split('=')[1]
  await chmod(secret ?? '', 0o600)
  const running = await examined(directory, ...settings)
  const said = (findings: readonly Finding[]) => findings.map(({ detail }) => detail).join('\n')
  assert.ok(
    said(running.of('nginx')).includes('tokens go in clear text'),
    said(running.of('nginx')),
  )
  assert.deepEqual(running.problems, [])

  const named = await examined(directory, ...settings, `--nginx=${prefix}`)
  assert.deepEqual(named.problems, [])
  await writeFile(join(prefix, 'broker-identity.conf'), 'proxy_http_version 1.1;')
  const broken = await examined(directory, ...settings, `--nginx=${prefix}`)
  assert.equal(broken.code, 1)
  assert.match(said(broken.problems), /lets clients say/)
  await writeFile(join(prefix, 'broker-identity.conf'), 'no directive;')
  const refused = await examined(directory, ...settings, `--nginx=${prefix}`)
  assert.match(said(refused.problems), /unknown directive "no"/)
})
