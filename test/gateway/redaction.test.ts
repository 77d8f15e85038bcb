import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BrokerProcess } from '../support/broker-process.ts'
import { TOKENS, USERS_XML } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'
import { metadataOf } from '../support/tus.ts'

/** Looks like a token of ours and is none: what people paste into the wrong place. */
const STRAY = `dbk_${'Str4yT0ken'.repeat(4).slice(0, 36)}`

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

async function outputOf(broker: BrokerProcess): Promise<string> {
  const directory = join(broker.directory, 'data/state/audit')
  const names = await readdir(directory)
  const files = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
  return broker.log + files.join('')
}

test('no token and no ticket is in the logs, wherever it was sent', async () => {
  await using broker = await BrokerProcess.start('--log-level=trace')
  const admin = await broker.adminToken()
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(broker.url + path, init)
    const location = response.headers.get('location')
    return { location, text: await response.text() }
  }
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const places: RequestInit[] = [STRAY, TOKENS.jenkins, admin].flatMap((token) => [
    { headers: bearer(token) },
    { headers: { authorization: token } },
    { headers: { authorization: `Token ${token}` } },
    { headers: { 'x-broker-token': token } },
    { headers: { 'x-broker-token': `${token}, ${token}x` } },
    { headers: { authorization: basic('token', token) } },
    { headers: { authorization: basic(token, 'x') } },
    { headers: { 'x-request-id': token } },
    { headers: { cookie: `token=${token}`, referer: `http://a/?token=${token}` } },
    { headers: { 'user-agent': token, 'sec-fetch-site': token } },
  ])
  for (const place of places) {
    await ask('/auth/me', place)
    await ask('/files/a', { method: 'PUT', body: 'x', ...place })
  }
  // Those of the other users do not look like tokens: in an address nobody could tell them from a name.
  for (const token of [STRAY, admin]) {
    await ask('/auth/me', { headers: { origin: `http://${token}.example` } })
    const paths = [
      `/files/${token}`,
      `/events/${token}`,
      `/files/x?token=${token}`,
      `/${token}/%zz`,
    ]
    for (const path of paths) {
      await ask(path)
      await ask(path, { method: 'PUT', body: 'x', headers: bearer(admin) })
      await ask(path, { method: 'POST', body: token, headers: bearer(TOKENS.reader) })
    }
    const url = `${broker.url.replace('http', 'ws')}/ws`
    using socket = await TestSocket.open(url)
    socket.send({ op: 'auth', id: 1, token: `${token}x` })
    await socket.closed
    using other = await TestSocket.open(url)
    other.send(`{"op":"auth","token":"${token}`)
    await other.closed
  }
  const ticket = await ask('/auth/tickets', {
    method: 'POST',
    body: '{"purpose":"events"}',
    headers: { ...bearer(TOKENS.reader), 'content-type': 'application/json' },
  })
  const { ticket: jwt } = JSON.parse(ticket.text) as { ticket: string }
  await ask(`/events/**?ticket=${jwt}&once`, { headers: { accept: 'application/json' } })
  await ask(`/files/a?ticket=${jwt}`)
  for (const secret of [STRAY, admin, jwt]) {
    const body = new URLSearchParams({ subject_token: secret })
    await ask('/auth/token', { method: 'POST', body })
    await ask(`/auth/token?subject_token=${secret}`, { method: 'POST', body: secret })
    const headers = {
      ...{ 'tus-resumable': '1.0.0', 'upload-length': '1' },
      'x-original-method': 'PUT',
      'x-original-uri': `/files/a?ticket=${secret}`,
    }
    await ask('/auth/upload', { headers })
    // A signed token has no form of ours: in a name nobody could tell it from one.
    if (secret === jwt) continue
    const metadata = { 'upload-metadata': metadataOf({ path: secret }) }
    await ask('/uploads', { method: 'POST', headers: { ...headers, ...metadata } })
    const mine = { ...headers, ...metadata, ...bearer(admin) }
    const { location } = await ask('/uploads', { method: 'POST', headers: mine })
    await ask(location ?? '', { method: 'DELETE', headers: mine })
  }
  await ask('/files/config/broker_users.xml', {
    method: 'PUT',
    body: USERS_XML.replace('<role name="public"/>', `<role name="${STRAY}!"/>`),
    headers: bearer(admin),
  })
  await ask('/metrics', { headers: bearer(admin) })
  await broker.kill('SIGTERM')
  const output = await outputOf(broker)
  assert.match(output, /"event":"http\.request"/)
  for (const action of ['auth', 'ticket.issue', 'file.create', 'file.write', 'upload.terminate']) {
    assert.ok(output.includes(`"action":"${action}"`), action)
  }
  const secrets = [STRAY, TOKENS.jenkins, admin, jwt]
  const forms = secrets.flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('base64').slice(0, 40),
    basic('token', secret).slice('Basic '.length, 50),
  ])
  for (const form of forms) {
    const at = output.indexOf(form)
    assert.equal(at, -1, output.slice(Math.max(0, at - 300), at + 100))
  }
})
