import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify, { type InjectOptions } from 'fastify'
import { Value } from 'typebox/value'
import { clientCertificate } from '../../src/auth/credentials/client-certificate.ts'
import { tokenHash } from '../../src/auth/credentials/tokens.ts'
import { installIdentity } from '../../src/auth/plugin.ts'
import { TicketAnswer } from '../../src/auth/tickets/ticket-request.ts'
import { UsersAnswer } from '../../src/auth/users-answer.ts'
import { WhoAmI } from '../../src/auth/who-am-i.ts'
import { BrokerError, toProblem } from '../../src/protocol/problem.ts'
import { ADMIN_SECRET, identityFixture } from './identity-fixture.ts'
import { CERTIFICATE, NOW_MS, SECRETS } from './users-fixture.ts'

/** What a proxy passes on of the certificate whose hash is `PEM_SHA256`. */
const PEM = `-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIUcQ7gGgNgHgoMse5wrG8vbUZ0EFMwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDYW5uMB4XDTI2MTEyMTAxMTk0NFoXDTM2MTExODAxMTk0NFow
DjEMMAoGA1UEAwwDYW5uMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExb/Q02HQ
IDyyIjvRz7bTC+lmh3353FxcONRoXtus3K2DesDdLF6lWVaGZW72VRvqzfRzwtqD
IVF7u/0i2C3gT6NTMFEwHQYDVR0OBBYEFBlPK9nm80w3mcDTu/Nk7bp2aVDMMB8G
A1UdIwQYMBaAFBlPK9nm80w3mcDTu/Nk7bp2aVDMMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhANViELFXzseEMDgXQ8KMhM1SNsnPuHfeb/KbgHB6
NKbHAiB+lwm+99yLl1rV9+rCbwwqXVRV8gbN+Fxayr2j2+Z1YQ==
-----END CERTIFICATE-----
`
const PEM_SHA256 = '5a1e6f64e003ad9985b21d7debb4e2baf2af3cb12b782831ee6da0e24a984dab'

function basic(user: string, secret: string): string {
  return `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
}

/** An app that answers who it takes the request to be from, at the addresses that tickets open. */
function appFixture(certificate?: string) {
  const identity = identityFixture()
  const app = Fastify()
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof BrokerError)) throw error
    void reply.code(error.status).send(toProblem(error))
  })
  installIdentity(app, {
    directory: identity.directory,
    tickets: identity.tickets,
    lastUses: identity.lastUses,
    origins: { allowed: ['https://dash.example'] },
    certificateOf: () => certificate,
  })
  for (const url of ['/', '/ws', '/events/*', '/files/*', '/other']) {
    app.get(url, async ({ principal }) => ({
      user: principal.user,
      kind: principal.credential?.kind ?? null,
    }))
  }
  /** The body of a 200, else the code of the problem. */
  const ask = async (
    url: string,
    headers: Record<string, string | string[]> = {},
    method = 'GET',
  ) => {
    const { statusCode, body } = await app.inject({ url, headers, method } as InjectOptions)
    const answer = body === '' ? {} : JSON.parse(body)
    return statusCode < 300 ? answer : answer.code
  }
  const ticketFor = async (body: object, secret: string = SECRETS.jenkins): Promise<string> => {
    const headers = { 'x-broker-token': secret }
    const reply = await app.inject({ url: '/auth/tickets', method: 'POST', headers, body })
    assert.equal(reply.statusCode, 201, reply.body)
    assert.ok(Value.Check(TicketAnswer, reply.json()))
    return reply.json().ticket
  }
  return { ...identity, app, ask, ticketFor }
}

const JENKINS = { user: 'jenkins', kind: 'token' }

test('every way to present a token makes the request its user', async () => {
  const { ask } = appFixture()
  const ways: readonly Record<string, string | string[]>[] = [
    { authorization: `Bearer ${SECRETS.jenkins}` },
    { 'x-broker-token': SECRETS.jenkins },
    { authorization: basic('token', SECRETS.jenkins) },
    { authorization: basic('jenkins', SECRETS.jenkins) },
    { 'x-broker-token': [SECRETS.jenkins, SECRETS.jenkins] },
    { 'sec-websocket-protocol': `a, bearer.${Buffer.from(SECRETS.jenkins).toString('base64url')}` },
  ]
  for (const headers of ways) assert.deepEqual(await ask('/other', headers), JENKINS)
})

test('a request without a credential is anonymous, one with a wrong credential is refused', async () => {
  const { ask } = appFixture()
  assert.deepEqual(await ask('/'), { user: null, kind: null })
  assert.equal(await ask('/', { 'x-broker-token': 'wrong' }), 'CREDENTIAL_INVALID')
  assert.equal(await ask('/', { 'x-broker-token': SECRETS.expired }), 'CREDENTIAL_INVALID')
  assert.equal(
    await ask('/', { authorization: basic('admin', SECRETS.jenkins) }),
    'CREDENTIAL_INVALID',
  )
  assert.equal(await ask('/', { authorization: basic('', SECRETS.jenkins) }), 'CREDENTIAL_INVALID')
  assert.equal(
    await ask('/', { 'x-broker-token': SECRETS.jenkins, authorization: `Bearer ${SECRETS.admin}` }),
    'CREDENTIALS_CONFLICT',
  )
})

test('many wrong credentials from one address are answered with a time to wait', async () => {
  const { ask, app } = appFixture()
  for (let i = 0; i < 10; i += 1) {
    assert.equal(await ask('/', { 'x-broker-token': `wrong-${i}` }), 'CREDENTIAL_INVALID')
  }
  const reply = await app.inject({ url: '/', headers: { 'x-broker-token': SECRETS.jenkins } })
  assert.equal(reply.statusCode, 429)
  assert.equal(reply.json().retryAfterSeconds, 60)
  assert.deepEqual(await ask('/'), { user: null, kind: null })
})

test('a token in a query is refused, right or wrong', async () => {
  const { ask } = appFixture()
  const queries = [
    `token=${SECRETS.jenkins}`,
    `access_token=x`,
    `a=1&x=${SECRETS.jenkins}`,
    `${SECRETS.jenkins}`,
    `x=${SECRETS.jenkins.replace('d', '%64')}`,
    `X-Broker-Token=`,
  ]
  for (const query of queries) {
    assert.equal(await ask(`/other?${query}`), 'REQUEST_INVALID', query)
    assert.equal(
      await ask(`/other?${query}`, { 'x-broker-token': SECRETS.jenkins }),
      'REQUEST_INVALID',
    )
  }
  assert.deepEqual(await ask('/other?since=earliest&a=b'), { user: null, kind: null })
})

test('a client certificate names the user when nothing else does', async () => {
  const { ask } = appFixture(CERTIFICATE)
  assert.deepEqual(await ask('/'), { user: 'jenkins', kind: 'certificate' })
  assert.deepEqual(await ask('/', { 'x-broker-token': SECRETS.jenkins }), JENKINS)
  assert.equal(await ask('/', { 'x-broker-token': SECRETS.admin }), 'CREDENTIALS_CONFLICT')
  const unlisted = appFixture('00')
  assert.equal(await unlisted.ask('/'), 'CREDENTIAL_INVALID')
  assert.deepEqual(await unlisted.ask('/', { 'x-broker-token': SECRETS.jenkins }), JENKINS)
})

test('a certificate that the proxy verified is known by the hash of its DER', () => {
  const sent = { 'x-client-verify': 'SUCCESS', 'x-client-cert': encodeURIComponent(PEM) }
  assert.equal(clientCertificate(sent), PEM_SHA256)
  for (const verify of ['NONE', 'FAILED:expired', 'success', '']) {
    assert.equal(clientCertificate({ ...sent, 'x-client-verify': verify }), undefined)
  }
  assert.equal(clientCertificate({ 'x-client-cert': encodeURIComponent(PEM) }), undefined)
  for (const cert of ['', '%zz', 'x', encodeURIComponent(PEM + PEM)]) {
    assert.throws(() => clientCertificate({ ...sent, 'x-client-cert': cert }), {
      code: 'CREDENTIAL_INVALID',
    })
  }
})

test('pages of other origins need an explicit token', async () => {
  const { ask } = appFixture(CERTIFICATE)
  const origin = 'https://evil.example'
  assert.equal(await ask('/', { origin }), 'ORIGIN_FORBIDDEN')
  assert.equal(await ask('/', { 'sec-fetch-site': 'cross-site' }), 'ORIGIN_FORBIDDEN')
  assert.equal(
    await ask('/', { origin, authorization: basic('jenkins', SECRETS.jenkins) }),
    'ORIGIN_FORBIDDEN',
  )
  assert.deepEqual(await ask('/', { origin, authorization: `Bearer ${SECRETS.jenkins}` }), JENKINS)
  assert.deepEqual(await ask('/', { origin: 'https://dash.example' }), {
    user: 'jenkins',
    kind: 'certificate',
  })
})

test('a ticket opens what it was made for, from any origin, once', async () => {
  const { ask, ticketFor } = appFixture()
  const opened = { user: 'jenkins', kind: 'ticket' }
  const upgrade = { upgrade: 'websocket', connection: 'Upgrade' }
  const origin = 'https://evil.example'
  const socket = await ticketFor({ purpose: 'websocket' })
  assert.equal(await ask(`/ws?ticket=${socket}`), 'CREDENTIAL_INVALID')
  assert.deepEqual(await ask(`/ws?ticket=${socket}`, { ...upgrade, origin }), opened)
  assert.equal(await ask(`/ws?ticket=${socket}`, upgrade), 'CREDENTIAL_INVALID')
  const other = await ticketFor({ purpose: 'websocket' })
  assert.deepEqual(await ask(`/events/ci/**?since=latest&ticket=${other}`, upgrade), opened)
  const events = `/events/ci/**?ticket=${await ticketFor({ purpose: 'events' })}`
  assert.deepEqual(await ask(events), opened)
  assert.equal(await ask(events), 'CREDENTIAL_INVALID')
  assert.deepEqual(await ask(events, { 'last-event-id': 'e:1' }), opened)
  const file = await ticketFor({ purpose: 'download', path: 'builds/a b.tgz' })
  assert.equal(await ask(`/files/builds/other?ticket=${file}`), 'CREDENTIAL_INVALID')
  assert.equal(await ask(`/files/builds/a%20b.tgz/?ticket=${file}`), 'CREDENTIAL_INVALID')
  assert.equal(await ask(`/files/builds/a%20b.tgz?ticket=${file}`, {}, 'HEAD'), undefined)
  assert.deepEqual(await ask(`/files/builds/a%20b.tgz?ticket=${file}`), opened)
})

test('a ticket opens nothing else, and no second credential goes with it', async () => {
  const { ask, ticketFor } = appFixture()
  const ticket = await ticketFor({ purpose: 'events' })
  assert.equal(await ask(`/other?ticket=${ticket}`), 'CREDENTIAL_INVALID')
  assert.equal(await ask(`/auth/me?ticket=${ticket}`), 'CREDENTIAL_INVALID')
  assert.equal(await ask(`/auth/tickets?ticket=${ticket}`, {}, 'POST'), 'CREDENTIAL_INVALID')
  assert.equal(await ask(`/events/a?ticket=`), 'CREDENTIAL_INVALID')
  const headers = { 'x-broker-token': SECRETS.jenkins }
  assert.equal(await ask(`/events/a?ticket=${ticket}`, headers), 'CREDENTIALS_CONFLICT')
  assert.equal(await ask(`/events/a?ticket=${ticket}&ticket=x`), 'CREDENTIALS_CONFLICT')
})

test('a ticket is asked for with a purpose, and a path for a download', async () => {
  const { app, ask } = appFixture()
  const post = async (body: unknown) => {
    const headers = { 'x-broker-token': SECRETS.jenkins, 'content-type': 'application/json' }
    const payload = JSON.stringify(body)
    return (await app.inject({ url: '/auth/tickets', method: 'POST', headers, payload })).json()
      .code
  }
  assert.equal(await ask('/auth/tickets', {}, 'POST'), 'REQUEST_INVALID')
  for (const body of [
    null,
    [],
    'events',
    {},
    { purpose: 'everything' },
    { purpose: 'events', more: 1 },
    { purpose: 'events', path: 'a' },
    { purpose: 'download' },
    { purpose: 'download', path: 1 },
  ]) {
    assert.equal(await post(body), 'REQUEST_INVALID', JSON.stringify(body))
  }
  assert.equal(await post({ purpose: 'download', path: '../a' }), 'PATH_INVALID')
  const reply = await app.inject({
    url: '/auth/tickets',
    method: 'POST',
    body: { purpose: 'events' },
  })
  assert.equal(reply.json().code, 'UNAUTHENTICATED')
})

test('who one is and what one may do is told to everybody about themselves', async () => {
  const { app, ask } = appFixture()
  const reply = await app.inject({
    url: '/auth/me',
    headers: { 'x-broker-token': SECRETS.jenkins },
  })
  assert.equal(reply.headers['cache-control'], 'no-store')
  assert.ok(Value.Check(WhoAmI, reply.json()))
  const role = { kind: 'role', name: 'ci' }
  assert.deepEqual(reply.json(), {
    user: 'jenkins',
    credential: { kind: 'token', id: 'jenkins-1', expires: '2027-11-20T00:00:00.000Z' },
    roles: ['ci'],
    grants: [
      { effect: 'allow', actions: ['publish'], topics: 'ci/jenkins/**', source: role },
      {
        effect: 'allow',
        actions: ['list', 'read', 'create'],
        files: 'builds/jenkins/**',
        source: role,
      },
      {
        effect: 'deny',
        actions: ['create'],
        files: 'builds/jenkins/release/**',
        source: { kind: 'user', name: 'jenkins' },
      },
    ],
  })
  const anonymous = await ask('/auth/me')
  assert.ok(Value.Check(WhoAmI, anonymous))
  assert.deepEqual(
    [anonymous.user, anonymous.credential, anonymous.roles],
    [null, null, ['public']],
  )
  const admin = await ask('/auth/me', { 'x-broker-token': ADMIN_SECRET })
  assert.ok(Value.Check(WhoAmI, admin))
  assert.deepEqual(admin.credential, { kind: 'token', id: 'admin.token', expires: null })
  assert.deepEqual(admin.grants.at(-1), {
    effect: 'allow',
    actions: ['administer', 'observe'],
    source: { kind: 'built-in', name: 'admin.token' },
  })
})

test('a request that no route takes is judged too', async () => {
  const { app } = appFixture()
  assert.equal((await app.inject({ url: '/nothing' })).statusCode, 404)
  const reply = await app.inject({ url: '/nothing', headers: { 'x-broker-token': 'wrong' } })
  assert.equal(reply.statusCode, 401)
})

test('what is logged of a refusal does not hold the secret', async () => {
  const identity = identityFixture()
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const app = Fastify({ logger: { level: 'trace', stream } })
  installIdentity(app, { ...identity, origins: { allowed: [] } })
  const secret = 'a-secret-that-is-wrong'
  await app.inject({ url: '/auth/me', headers: { authorization: `Bearer ${secret}` } })
  const refusal = lines
    .map((line) => JSON.parse(line))
    .find(({ event }) => event === 'auth.refused')
  assert.equal(refusal.code, 'CREDENTIAL_INVALID')
  assert.equal(refusal.from, '127.0.0.1')
  assert.ok(!lines.join('').includes(secret))
})

test('administrators see the users in force and when each credential was last used', async () => {
  const { app, ask, clock, directory } = appFixture()
  const headers = { 'x-broker-token': SECRETS.admin }
  await ask('/', { 'x-broker-token': SECRETS.jenkins })
  clock.ms += 1000
  const reply = await app.inject({ url: '/auth/users', headers })
  assert.equal(reply.statusCode, 200)
  assert.ok(Value.Check(UsersAnswer, reply.json()))
  assert.ok(!reply.body.includes(tokenHash(SECRETS.jenkins)))
  const [admin, jenkins, ann] = reply.json<UsersAnswer>().users
  assert.deepEqual(admin?.credentials, [
    { kind: 'token', id: 'admin-1', expires: null, lastUsed: new Date(clock.ms).toISOString() },
  ])
  const [first, second] = jenkins?.credentials ?? []
  assert.deepEqual(first, {
    ...{ kind: 'token', id: 'jenkins-1', expires: '2027-11-20T00:00:00.000Z', note: 'controller' },
    lastUsed: new Date(NOW_MS).toISOString(),
  })
  assert.equal(second?.lastUsed, null)
  assert.deepEqual(ann, { name: 'ann', roles: ['reader'], credentials: [] })
  assert.equal(await ask('/auth/users'), 'UNAUTHENTICATED')
  assert.equal(await ask('/auth/users', { 'x-broker-token': SECRETS.jenkins }), 'FORBIDDEN')
  clock.ms += 1000
  directory.swap(directory.table)
  const again = await app.inject({ url: '/auth/users', headers })
  assert.equal(
    again.json<UsersAnswer>().users[1]?.credentials[0]?.lastUsed,
    new Date(NOW_MS + 1000).toISOString(),
  )
})
