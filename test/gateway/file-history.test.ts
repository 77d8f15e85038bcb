import assert from 'node:assert/strict'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { VersionList } from '../../src/files/http/versions.ts'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { FilePolicyText } from '../support/file-policy.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { NGINX_MISSING } from '../support/nginx.ts'

interface Page {
  readonly position: string
  readonly events: readonly { readonly type: string; readonly subject: string }[]
}

/** Types and paths of file events, when there are as many. */
async function fileEvents(broker: TestGateway, count: number): Promise<string[]> {
  const told: string[] = []
  for (let since = 'earliest'; told.length < count; ) {
    const target = `/events/files/**?since=${encodeURIComponent(since)}&wait=10`
    const page = (await (await broker.request(target, { as: 'admin' })).json()) as Page
    told.push(...page.events.map(({ type, subject }) => `${type} ${subject}`))
    since = page.position
  }
  return told
}

function put(broker: TestGateway, path: string, body: string): Promise<Response> {
  return broker.request(`/files/${path}`, { method: 'PUT', body, as: 'admin' })
}

async function versionsOf(broker: TestGateway, path: string): Promise<VersionList['versions']> {
  const response = await broker.request(`/files/${path}?versions`, { as: 'admin' })
  assert.equal(response.status, 200)
  const { versions } = (await response.json()) as VersionList
  return versions
}

test('versions outlive a restart, and none of them is told by the watcher', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: { keep: 2 } })
  const first = await startGateway({ filePolicy: policy.file, settle: '10ms' })
  for (const content of ['1', '2', '3', '4']) await put(first, 'x', content)
  await first.request('/files/x', { method: 'DELETE', as: 'admin' })
  await using broker = await first.restart()
  const versions = await versionsOf(broker, 'x')
  assert.equal(versions.length, 2)
  const restore = `/files/x?restore=${versions[0]?.version}`
  const restored = await broker.request(restore, { method: 'POST', as: 'admin' })
  assert.equal(restored.status, 201)
  // Told by the watcher, behind whatever else it had to tell.
  await writeFile(join(broker.directory, 'data/files/last'), 'by hand')
  assert.deepEqual(await fileEvents(broker, 7), [
    'FILE CREATED x',
    'FILE UPDATED x',
    'FILE UPDATED x',
    'FILE UPDATED x',
    'FILE DELETED x',
    'FILE CREATED x',
    'FILE CREATED last',
  ])
  const metrics = await (await broker.request('/metrics', { as: 'admin' })).text()
  assert.match(metrics, /^databroker_file_versions 1$/m)
  assert.match(metrics, /^databroker_file_versions_bytes 1$/m)
})

test('an edit on disk is kept by the upload that replaces it, and restored as of now', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: {} })
  await using broker = await startGateway({ filePolicy: policy.file, settle: '1m' })
  await put(broker, 'x', 'one')
  const file = join(broker.directory, 'data/files/x')
  await writeFile(file, 'edited in place')
  await utimes(file, 1_000_000_000, 1_000_000_000)
  await put(broker, 'x', 'two')
  const versions = await versionsOf(broker, 'x')
  assert.deepEqual(
    versions.map(({ size }) => size),
    ['edited in place'.length],
  )
  assert.equal(versions[0]?.modified, '2001-09-09T01:46:40.000Z')
  const restore = `/files/x?restore=${versions[0]?.version}`
  const restored = await broker.request(restore, { method: 'POST', as: 'admin' })
  // A cache that asks by date would otherwise keep what it has.
  const modified = Date.parse(String(restored.headers.get('last-modified')))
  assert.ok(modified > Date.now() - 3_600_000)
})

test('files whose time is over are deleted at the start, the users file never', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', retain: '1h', undelete: '1h' })
  const first = await startGateway({ filePolicy: policy.file })
  await put(first, 'new', 'new')
  const files = join(first.directory, 'data/files')
  await mkdir(join(files, 'logs'))
  await writeFile(join(files, 'logs/old'), 'old')
  const longAgo = new Date(Date.now() - 7_200_000)
  await utimes(join(files, 'logs/old'), longAgo, longAgo)
  await utimes(join(first.directory, 'config/broker_users.xml'), longAgo, longAgo)
  await using broker = await first.restart()
  assert.deepEqual((await fileEvents(broker, 3)).slice(1), [
    'FILE CREATED logs/old',
    'FILE DELETED logs/old',
  ])
  const deleted = await broker.request('/files/?deleted', { as: 'admin' })
  const { entries } = (await deleted.json()) as { entries: readonly { readonly name: string }[] }
  assert.deepEqual(
    entries.map(({ name }) => name),
    ['logs/old'],
  )
  const users = await broker.request('/files/config/broker_users.xml', { as: 'admin' })
  assert.equal(users.status, 200)
})

test('a policy that keeps less takes what is too much at the start', async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: {} })
  const first = await startGateway({ filePolicy: policy.file })
  for (const content of ['1', '2', '3']) await put(first, 'x', content)
  await policy.rewrite({ paths: '**', retain: '3650d' })
  const second = await first.restart()
  assert.equal((await versionsOf(second, 'x')).length, 2)
  await policy.rewrite({ paths: '**', versions: { keep: 1 } })
  await using third = await second.restart()
  assert.equal((await versionsOf(third, 'x')).length, 1)
})

test('a front sends versions and their ranges itself', { skip: NGINX_MISSING }, async () => {
  await using policy = await FilePolicyText.write({ paths: '**', versions: {}, undelete: '1h' })
  await using front = await BrokerBehindNginx.start(`--file-policy=${policy.file}`)
  const token = await front.broker.adminToken()
  const ask = (method: string, target: string, init: RequestInit = {}) => {
    const headers = { ...init.headers, authorization: `Bearer ${token}` }
    return fetch(`${front.url}/files/${target}`, { ...init, method, headers })
  }
  const content = 'abcdefghij'.repeat(30_000)
  await ask('PUT', 'x.txt', { body: content })
  await ask('PUT', 'x.txt', { body: 'new' })
  const listed = (await (await ask('GET', 'x.txt?versions')).json()) as VersionList
  const target = `x.txt?version=${listed.versions[0]?.version}`
  const got = await ask('GET', target)
  assert.equal(await got.text(), content)
  assert.equal(got.headers.get('etag'), listed.versions[0]?.etag)
  assert.match(String(got.headers.get('repr-digest')), /^sha-256=/)
  const range = await ask('GET', target, { headers: { range: 'bytes=299995-' } })
  assert.deepEqual([range.status, await range.text()], [206, 'fghij'])
  const state = join(front.broker.directory, 'data/state/volumes/default')
  assert.equal((await readdir(join(state, 'serve'))).length, 1)
  // The link by which it was sent is a name of the restored file for a while, and it is served all the same.
  const restored = await ask('POST', `x.txt?restore=${listed.versions[0]?.version}`)
  assert.equal(restored.status, 200, await restored.text())
  assert.equal(await (await ask('GET', 'x.txt')).text(), content)
  assert.equal((await ask('GET', target)).status, 404)
})
