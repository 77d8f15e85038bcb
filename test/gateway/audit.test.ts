import assert from 'node:assert/strict'
import { readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { VersionList } from '../../src/files/http/versions.ts'
import { auditDirectory, auditLines } from '../../src/gateway/audit/audit-files.ts'
import { runBroker } from '../cli/broker-process.ts'
import { collect } from '../client/collect.ts'
import { FilePolicyText } from '../support/file-policy.ts'
import { sha256, startGateway, type TestGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { OidcIssuer } from '../support/oidc-issuer.ts'
import { exchange } from '../support/raw-http.ts'
import { TestSocket } from '../support/test-socket.ts'
import { askToCreate, create, TUS, send as tusSend } from '../support/tus.ts'

type Line = Readonly<Record<string, unknown>> & { readonly details?: Record<string, unknown> }

/** All that was audited; the broker is closed first. */
async function auditOf({ gateway, directory }: TestGateway): Promise<Line[]> {
  await gateway.close()
  return (await collect(auditLines(auditDirectory(join(directory, 'data')), 0))) as Line[]
}

async function audited(broker: TestGateway, action: string): Promise<Line[]> {
  return (await auditOf(broker)).filter((line) => line['action'] === action)
}

test('uploads and deletes are audited with who, from where, what and its position', async () => {
  await using broker = await startGateway()
  const put = (body: string) =>
    broker.request('/files/builds/jenkins/a', {
      method: 'PUT',
      body,
      as: 'jenkins',
    })
  const answer = await put('hello')
  const { position } = (await answer.json()) as { position: string }
  // The same content again changes nothing.
  await put('hello')
  await broker.request('/files/builds/jenkins/a', { method: 'DELETE', as: 'admin' })
  const form = new FormData()
  form.set('x', new File(['1'], 'b'))
  form.set('y', new File(['2'], 'c'))
  await broker.request('/files/builds/jenkins/', { method: 'POST', body: form, as: 'jenkins' })
  const created = await audited(broker, 'file.create')
  const { time, ...first } = created[0] ?? {}
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  assert.deepEqual(first, {
    requestId: answer.headers.get('x-request-id'),
    user: 'jenkins',
    credential: 'jenkins-1',
    address: '127.0.0.1',
    action: 'file.create',
    target: 'builds/jenkins/a',
    outcome: 'done',
    details: { size: 5, sha256: sha256('hello'), position },
  })
  assert.deepEqual(
    created.slice(1).map(({ target }) => target),
    ['builds/jenkins/b', 'builds/jenkins/c'],
  )
  const [deleted] = await audited(broker, 'file.delete')
  assert.equal(deleted?.['user'], 'admin')
  assert.equal(deleted?.details?.['sha256'], sha256('hello'))
})

test('refused writes and credentials are audited once each, without the secret', async () => {
  await using broker = await startGateway()
  await broker.request('/files/release/a', { method: 'PUT', body: 'x', as: 'jenkins' })
  const headers = { authorization: `Bearer wrong-${TOKENS.jenkins}` }
  await broker.request('/files/builds/a', { method: 'PUT', body: 'x', headers })
  const socket = await TestSocket.open(`${broker.wsUrl}/ws`)
  socket.send({ op: 'auth', id: 1, token: 'no-such-token' })
  await socket.closed
  socket.socket.close()
  const [write, ...others] = await audited(broker, 'file.write')
  assert.deepEqual(others, [])
  assert.equal(write?.['code'], 'FORBIDDEN')
  assert.equal(write?.['user'], 'jenkins')
  const refused = await audited(broker, 'auth')
  assert.deepEqual(
    refused.map(({ target, code, address }) => [target, code, address]),
    [
      ['/files/builds/a', 'CREDENTIAL_INVALID', '127.0.0.1'],
      ['connection', 'CREDENTIAL_INVALID', '127.0.0.1'],
    ],
  )
  assert.doesNotMatch(JSON.stringify(refused), /dbk_|no-such-token/)
})

test('tickets are audited with their purpose', async () => {
  await using broker = await startGateway()
  await broker.request('/auth/tickets', {
    method: 'POST',
    body: JSON.stringify({ purpose: 'websocket' }),
    headers: { 'content-type': 'application/json' },
    as: 'dashboard',
  })
  const [line] = await audited(broker, 'ticket.issue')
  assert.equal(line?.['user'], 'dashboard')
  assert.equal(line?.['target'], 'websocket')
})

const EXTRA_TOKEN = `<token id="jenkins-2" sha256="${'ab'.repeat(32)}"/></user>`
const CHANGED = USERS_XML.replace('</user>', EXTRA_TOKEN).replace(
  '<role name="public"/>',
  '<role name="public"><allow actions="subscribe" topics="open/**"/></role>',
)

test('an uploaded users file is audited with its uploader and what it changes', async () => {
  await using broker = await startGateway()
  const put = (body: string) =>
    broker.request('/files/config/broker_users.xml', { method: 'PUT', body, as: 'admin' })
  assert.equal((await put(CHANGED)).status, 200)
  assert.equal((await put('<broken')).status, 422)
  const [replaced] = await audited(broker, 'users.replace')
  assert.equal(replaced?.['user'], 'admin')
  assert.equal(replaced?.details?.['sha256'], sha256(CHANGED))
  assert.deepEqual(replaced?.details?.['changes'], [
    'role public (0 users): + allow subscribe topics="open/**"',
    'user jenkins: + token jenkins-2',
  ])
  const [issued] = await audited(broker, 'credential.add')
  assert.equal(issued?.['target'], 'jenkins/jenkins-2')
  assert.equal(issued?.['user'], 'admin')
  const [refused] = await audited(broker, 'file.write')
  assert.equal(refused?.['code'], 'CONTENT_INVALID')
})

test('a users file that was edited while the broker was down is audited at the start', async () => {
  await using broker = await startGateway()
  await broker.gateway.close()
  await writeFile(join(broker.directory, 'config/broker_users.xml'), CHANGED)
  const again = await broker.restart()
  const lines = await audited(again, 'users.replace')
  assert.equal(lines.length, 1)
  assert.equal(lines[0]?.details?.['origin'], 'offline')
  const [issued] = await audited(again, 'credential.add')
  assert.equal(issued?.['target'], 'jenkins/jenkins-2')
})

test('broker audit prints lines of one user since a time', async () => {
  await using broker = await startGateway()
  await broker.request('/files/builds/jenkins/a', { method: 'PUT', body: 'x', as: 'jenkins' })
  await broker.request('/files/b', { method: 'PUT', body: 'x', as: 'admin' })
  await broker.gateway.close()
  const data = join(broker.directory, 'data')
  const of = async (...args: string[]) =>
    (await runBroker(['audit', '--data', data, ...args])).stdout
  assert.match(await of('--user=jenkins'), /^\S+ file\.create builds\/jenkins\/a by jenkins .*\n$/)
  const json = JSON.parse(await of('--user=admin', '--json', '--action=file'))
  assert.equal(json.target, 'b')
  assert.equal(await of('--since=2999-01-01T00:00:00Z'), '')
  assert.equal((await runBroker(['audit', '--since=soon'])).code, 2)
})

test('the audit log is for the account of the broker alone', async () => {
  await using broker = await startGateway()
  await broker.gateway.close()
  const { stat, readdir } = await import('node:fs/promises')
  const directory = auditDirectory(join(broker.directory, 'data'))
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  const [name = ''] = await readdir(directory)
  assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600)
  assert.match(await readFile(join(directory, name), 'utf8'), /"action":"broker\.start"/)
})

test('whatever door a change comes by, it is audited with who asked for it', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: { keep: 2 } })
  await using broker = await startGateway({ filePolicy: policy.file })
  const send = (path: string, init: RequestInit, as: 'admin' | 'jenkins' = 'admin') =>
    broker.request(path, { as, ...init })
  const x = '/files/builds/jenkins/x'
  await send(x, { method: 'PUT', body: 'one' }, 'jenkins')
  await send(x, { method: 'POST', body: 'two' })
  const listed = await (await send(`${x}?versions`, {})).json()
  const { version } = (listed as VersionList).versions[0] ?? {}
  await send(`${x}?restore=${version}`, { method: 'POST' })
  await send('/files/builds/?recursive', { method: 'DELETE' })
  const inParts = await create(broker, 'builds/jenkins/y', 4, { as: 'jenkins' })
  await tusSend(broker, inParts, 0, 'ab', { as: 'jenkins' })
  await tusSend(broker, inParts, 2, 'cd', { as: 'jenkins' })
  const atOnce = { 'content-type': 'application/offset+octet-stream' }
  await askToCreate(broker, 'builds/jenkins/z', 1, { as: 'jenkins', body: 'z', headers: atOnce })
  const ended = await create(broker, 'builds/jenkins/never', 4, { as: 'jenkins' })
  await send(ended, { method: 'DELETE', headers: TUS }, 'jenkins')
  // The file that it became stays: nothing is changed.
  await send(inParts, { method: 'DELETE', headers: TUS }, 'jenkins')
  await askToCreate(broker, 'release/a', 4, { as: 'jenkins' })
  const lines = (await auditOf(broker)).filter(({ target }) => target !== 'broker')
  assert.deepEqual(
    lines.map(({ user, action, target }) => `${user} ${action} ${target}`),
    [
      'jenkins file.create builds/jenkins/x',
      'admin file.replace builds/jenkins/x',
      'admin file.replace builds/jenkins/x',
      'admin file.delete builds/jenkins/x',
      'jenkins file.create builds/jenkins/y',
      'jenkins file.create builds/jenkins/z',
      'jenkins upload.terminate builds/jenkins/never',
      'jenkins file.write release/a',
    ],
  )
  assert.equal(lines[2]?.details?.['version'], version)
  assert.ok(lines.every(({ requestId, address }) => requestId !== null && address === '127.0.0.1'))
})

test('the token of a job is audited as its own, and one that is refused as well', async () => {
  await using issuer = await OidcIssuer.start()
  const rule = `<oidc issuer="${issuer.url}" audience="broker"><claim name="repository" value="acme/app"/></oidc>`
  const users = USERS_XML.replace(
    '<anonymous',
    `<user name="app" roles="ci">${rule}</user><anonymous`,
  )
  await using broker = await startGateway({}, users)
  const ask = async (claims = {}) => {
    const body = new URLSearchParams({ subject_token: await issuer.token(claims) })
    return broker.request('/auth/token', { method: 'POST', body })
  }
  const { access_token: token } = (await (await ask()).json()) as { access_token: string }
  const evil = await ask({ repository: 'evil/app' })
  assert.equal(evil.status, 401)
  const headers = { authorization: `Bearer ${token}` }
  await broker.request('/files/builds/app/a', { method: 'PUT', body: 'x', headers })
  const lines = await auditOf(broker)
  const [issued] = lines.filter(({ action }) => action === 'token.issue')
  const [created] = lines.filter(({ action }) => action === 'file.create')
  const [refused] = lines.filter(({ action }) => action === 'auth')
  assert.equal(issued?.['user'], 'app')
  assert.equal(issued?.['credential'], created?.['credential'])
  assert.deepEqual([refused?.['target'], refused?.['code']], ['/auth/token', 'CREDENTIAL_INVALID'])
  assert.ok(!JSON.stringify(lines).includes(token))
})

test('a users file that is put in force by hand is audited, and so are start, reload and stop', async () => {
  await using broker = await startGateway({ settle: '60s' })
  await writeFile(join(broker.directory, 'config/broker_users.xml'), CHANGED)
  await broker.gateway.reload()
  const lines = await auditOf(broker)
  const actions = lines.map(({ action }) => action)
  assert.deepEqual(actions.slice(0, 2), ['broker.start', 'broker.reload'])
  assert.equal(actions.at(-1), 'broker.stop')
  const added = lines.find(({ action }) => action === 'credential.add')
  assert.deepEqual([added?.['target'], added?.['user']], ['jenkins/jenkins-2', null])
})

test('what the front asks in the place of an upload is audited as that upload', async () => {
  await using broker = await startGateway()
  const headers = { 'x-original-method': 'PUT', 'x-original-uri': '/files/release/a?x' }
  await broker.request('/auth/upload', { as: 'jenkins', headers })
  const [line] = await audited(broker, 'file.write')
  assert.deepEqual([line?.['user'], line?.['target']], ['jenkins', '/files/release/a'])
})

test('what the broker deletes since its time is over is audited without a user', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', retain: '1d' })
  const first = await startGateway({ filePolicy: policy.file })
  await first.gateway.close()
  const old = join(first.directory, 'data/files/old')
  await writeFile(old, 'x')
  await utimes(old, 1e9, 1e9)
  await using broker = await first.restart()
  const stream = `${broker.wsUrl}/events/files/**?since=earliest`
  {
    using socket = await TestSocket.open(stream, { token: broker.adminToken })
    await socket.wait(({ type }) => type === 'FILE DELETED')
  }
  const [line] = await audited(broker, 'file.delete')
  assert.deepEqual([line?.['target'], line?.['user'], line?.['requestId']], ['old', null, null])
})

test('a write that is refused before anybody asks who it is from is audited without a user', async () => {
  await using broker = await startGateway()
  const twoHosts = 'PUT /files/a HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'
  await exchange(Number(new URL(broker.url).port), twoHosts)
  const [line] = await audited(broker, 'file.write')
  assert.deepEqual([line?.['user'], line?.['code']], [null, 'REQUEST_INVALID'])
})
