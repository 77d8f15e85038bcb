import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import jwt from 'jsonwebtoken'
import { signTicket } from '../../src/auth/tickets/ticket-claims.ts'
import { Tickets } from '../../src/auth/tickets/tickets.ts'
import { type FilePath, parseFilePath } from '../../src/protocol/file-path.ts'
import { identityFixture } from './identity-fixture.ts'
import { NOW_MS, SECRETS, tableOf, USERS_XML, usersXml } from './users-fixture.ts'

const FROM = '192.0.2.1'
const STREAM = { purpose: 'events', target: '/events/ci?ticket=x', isContinued: false } as const
const CONTINUED = { ...STREAM, isContinued: true }
const SOCKET = { purpose: 'websocket', target: '/ws?ticket=x', isContinued: false } as const
const DOWNLOAD = { purpose: 'download', target: '/files/a', isContinued: false } as const

function fixture() {
  const identity = identityFixture()
  const jenkins = identity.directory.authenticate(SECRETS.jenkins, FROM)
  return { ...identity, jenkins }
}

function path(text: string): FilePath {
  const parsed = parseFilePath(text)
  assert.ok(parsed.ok)
  return parsed.value
}

test('a ticket is its user once, within 30 seconds', () => {
  const { tickets, jenkins, clock } = fixture()
  const { ticket, expiresMs } = tickets.issue(jenkins, 'websocket')
  assert.equal(expiresMs, NOW_MS + 30_000)
  clock.ms += 29_999
  const principal = tickets.redeem(ticket, SOCKET, FROM)
  assert.equal(principal.user, 'jenkins')
  assert.equal(principal.rights, jenkins.rights)
  assert.equal(principal.credential?.kind, 'ticket')
  assert.equal(principal.credential?.expiresMs, jenkins.credential?.expiresMs)
  assert.throws(() => tickets.redeem(ticket, SOCKET, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('a ticket is refused after 30 seconds', () => {
  const { tickets, jenkins, clock } = fixture()
  for (const use of [SOCKET, STREAM, CONTINUED]) {
    const { ticket } = tickets.issue(jenkins, use.purpose)
    clock.ms += 30_000
    assert.throws(() => tickets.redeem(ticket, use, FROM), { code: 'CREDENTIAL_INVALID' })
  }
})

test('a ticket is refused for another purpose or path, and stays good for its own', () => {
  const { tickets, jenkins } = fixture()
  const { ticket } = tickets.issue(jenkins, 'download', path('builds/a'))
  const refused = [
    SOCKET,
    STREAM,
    DOWNLOAD,
    { ...DOWNLOAD, path: 'builds/b' },
    { ...DOWNLOAD, path: 'builds/a/b' },
  ]
  for (const use of refused) {
    assert.throws(() => tickets.redeem(ticket, use, FROM), { code: 'CREDENTIAL_INVALID' })
  }
  assert.equal(tickets.redeem(ticket, { ...DOWNLOAD, path: 'builds/a' }, FROM).user, 'jenkins')
})

test('a stream of events is continued for an hour at the same URL', () => {
  const { tickets, jenkins, clock } = fixture()
  const { ticket } = tickets.issue(jenkins, 'events')
  tickets.redeem(ticket, STREAM, FROM)
  assert.throws(() => tickets.redeem(ticket, STREAM, FROM), { code: 'CREDENTIAL_INVALID' })
  const elsewhere = { ...CONTINUED, target: '/events/other?ticket=x' }
  assert.throws(() => tickets.redeem(ticket, elsewhere, FROM), { code: 'CREDENTIAL_INVALID' })
  clock.ms += 60 * 60 * 1000 - 1
  assert.equal(tickets.redeem(ticket, CONTINUED, FROM).user, 'jenkins')
  assert.equal(tickets.redeem(ticket, CONTINUED, FROM).user, 'jenkins')
  clock.ms += 1
  assert.throws(() => tickets.redeem(ticket, CONTINUED, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('tickets and what they opened end with the credential they were drawn on', () => {
  const { tickets, jenkins, directory } = fixture()
  const unused = tickets.issue(jenkins, 'websocket').ticket
  const opened = tickets.issue(jenkins, 'events').ticket
  const stream = tickets.redeem(opened, STREAM, FROM)
  assert.equal(directory.renew(stream)?.credential, stream.credential)
  directory.swap(tableOf(USERS_XML.replace('topics="ci/', 'topics="other/')))
  assert.equal(directory.renew(stream)?.rights.may('publish', 'ci/jenkins/x'), false)
  assert.equal(
    tickets.redeem(opened, CONTINUED, FROM).rights.may('publish', 'other/jenkins/x'),
    true,
  )
  directory.swap(tableOf(usersXml('')))
  assert.equal(directory.renew(stream), undefined)
  assert.throws(() => tickets.redeem(unused, SOCKET, FROM), { code: 'CREDENTIAL_INVALID' })
  assert.throws(() => tickets.redeem(opened, CONTINUED, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('anonymous gets no ticket', () => {
  const { tickets, directory } = fixture()
  assert.throws(() => tickets.issue(directory.anonymous(), 'events'), { code: 'UNAUTHENTICATED' })
})

test('unused tickets of one user are bounded, and room comes with time and use', () => {
  const { tickets, jenkins, directory, clock } = fixture()
  const first = tickets.issue(jenkins, 'websocket').ticket
  for (let i = 1; i < 1000; i += 1) tickets.issue(jenkins, 'websocket')
  assert.throws(() => tickets.issue(jenkins, 'websocket'), { code: 'TOO_MANY_REQUESTS' })
  tickets.issue(directory.authenticate(SECRETS.admin, FROM), 'websocket')
  tickets.redeem(first, SOCKET, FROM)
  tickets.issue(jenkins, 'websocket')
  assert.throws(() => tickets.issue(jenkins, 'websocket'), { code: 'TOO_MANY_REQUESTS' })
  clock.ms += 30_000
  tickets.issue(jenkins, 'websocket')
})

test('a ticket of another start of the broker is refused, though the key is the same', () => {
  const { key, tickets, jenkins, directory, throttle, now } = fixture()
  const { ticket } = tickets.issue(jenkins, 'websocket')
  const restarted = new Tickets({ key, directory, throttle, now })
  assert.throws(() => restarted.redeem(ticket, SOCKET, FROM), { code: 'CREDENTIAL_INVALID' })
})

test('the key alone makes no ticket: one that was not drawn here is refused', () => {
  const { key, tickets, clock } = fixture()
  const issuedAt = Math.floor(clock.ms / 1000)
  const made = signTicket(
    { id: 'A'.repeat(22), user: 'jenkins', purpose: 'websocket', issuedAt },
    key,
  )
  assert.throws(() => tickets.redeem(made, SOCKET, FROM), {
    message: 'the ticket has expired or was used',
  })
})

test('a forged ticket is refused, whatever it claims', () => {
  const { key, tickets, jenkins, throttle } = fixture()
  const { ticket } = tickets.issue(jenkins, 'websocket')
  const { header, payload } = jwt.decode(ticket, { complete: true }) ?? {}
  assert.ok(header !== undefined && typeof payload === 'object')
  assert.equal(header.typ, 'databroker-ticket+jwt')
  assert.equal(header.alg, 'HS256')
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const forge = (
    head: object,
    body: unknown,
    algorithm = 'sha256',
    secret: string | Buffer = key,
  ) => {
    const text = `${encode(head)}.${encode(body)}`
    return `${text}.${createHmac(algorithm, secret).update(text).digest('base64url')}`
  }
  const { exp: _, ...endless } = payload
  const forged = [
    '',
    'a.b.c',
    'x'.repeat(5000),
    ticket.slice(0, -2),
    `${ticket.slice(0, ticket.lastIndexOf('.'))}.`,
    `${encode({ ...header, alg: 'none' })}.${encode(payload)}.`,
    forge({ ...header, alg: 'HS512' }, payload, 'sha512'),
    forge(header, payload, 'sha256', 'another key'),
    forge({ ...header, typ: 'JWT' }, payload),
    forge({ alg: 'HS256' }, payload),
    forge({ ...header, crit: ['b64'], b64: true }, payload),
    forge(header, 'text'),
    forge(header, null),
    forge(header, [payload]),
    forge(header, endless),
    forge(header, { ...payload, exp: 1e300 }),
    forge(header, { ...payload, exp: (payload.exp ?? 0) + 1 }),
    forge(header, { ...payload, iat: undefined }),
    forge(header, { ...payload, iss: 'another' }),
    forge(header, { ...payload, aud: 'another' }),
    forge(header, { ...payload, aud: [payload.aud, 'another'] }),
    forge(header, { ...payload, jti: 1 }),
    forge(header, { ...payload, purpose: 'everything' }),
    forge(header, { ...payload, purpose: 'download' }),
    forge(header, { ...payload, purpose: 'download', path: '../x' }),
  ]
  for (const [i, one] of forged.entries()) {
    const from = `192.0.2.${i}`
    assert.throws(() => tickets.redeem(one, SOCKET, from), { code: 'CREDENTIAL_INVALID' }, one)
  }
  for (let i = 0; i < 10; i += 1) throttle.failed(FROM, `other ${i}`)
  assert.throws(() => tickets.redeem('a.b.c', SOCKET, FROM), { code: 'TOO_MANY_REQUESTS' })
  // The forgery is as good as the original in all that the checks compare.
  assert.equal(tickets.redeem(forge(header, payload), SOCKET, '192.0.2.99').user, 'jenkins')
})

test('old tickets do not close a source, forged ones do', () => {
  const { tickets, jenkins, clock, directory } = fixture()
  const old = Array.from({ length: 20 }, () => tickets.issue(jenkins, 'events').ticket)
  clock.ms += 30_000
  for (const ticket of old) {
    assert.throws(() => tickets.redeem(ticket, CONTINUED, FROM), { code: 'CREDENTIAL_INVALID' })
  }
  assert.equal(directory.authenticate(SECRETS.admin, FROM).user, 'admin')
  for (let i = 0; i < 10; i += 1) {
    assert.throws(() => tickets.redeem(`forged ${i}`, SOCKET, FROM), { code: 'CREDENTIAL_INVALID' })
  }
  assert.throws(() => tickets.redeem('another', SOCKET, FROM), { code: 'TOO_MANY_REQUESTS' })
})
