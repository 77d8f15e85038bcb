import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { VersionList } from '../../src/files/http/versions.ts'
import type { TestGateway } from '../support/gateway.ts'
import type { OidcIssuer } from '../support/oidc-issuer.ts'
import { metadataOf, TUS } from '../support/tus.ts'
import { type AskingUser, usersFor } from './permission-users.ts'
import type { Asker, Row } from './permissions-page.ts'

export interface Asked {
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Where requests of the page are made: each is about a file of its own. */
export interface Place {
  readonly broker: TestGateway
  readonly issuer: OidcIssuer
  /** A directory below `builds` that no other request is about. */
  readonly directory: string
}

const NEW = 'new'

/** What an administrator stored before at the path of a request, one after the other; null for a delete. */
const STORED: Readonly<Record<string, readonly (string | null)[]>> = {
  '/auth/upload, over a file': ['old'],
  '/uploads, over a file': ['old'],
  '/files': ['old'],
  '/files?recursive': ['old'],
  '/files/*': ['old'],
  '/files/*, other content': ['old'],
  '/files/*, the same content': [NEW],
  '/files/*?versions': ['old', 'newer'],
  '/files/*?version=ID': ['old', 'newer'],
  '/files/*?restore=ID, other content': ['old', 'newer'],
  '/files/*?restore=ID, deleted': ['old', null],
  '/files/*/': ['old'],
  '/files/*/?format=tar': ['old'],
  '/files/*/?deleted': ['old', null],
  '/files/*/?recursive': ['old'],
}

const JSON_BODY = { 'content-type': 'application/json' }
const CLOUDEVENT = { 'content-type': 'application/cloudevents+json' }
const FORM = { 'content-type': 'multipart/form-data; boundary=b' }
const PART = { 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' }

/** Makes what one request of a row needs, and the request. */
export async function requestOf(row: Row, method: string, asker: Asker, place: Place) {
  const what = row.request.slice(row.request.indexOf('/'))
  const [route = ''] = what.split(', ')
  const file = `${place.directory}/x`
  await store(place.broker, file, STORED[what] ?? [])
  const filled = route
    .replace('/events/*', '/events/ci/x')
    .replace('/files/*/', `/files/${place.directory}/`)
    .replace('/files/*', `/files/${file}`)
    .replace(':code', 'NOT_FOUND')
  const target = filled.endsWith('ID')
    ? filled.replace(/ID$/, await versionOf(place.broker, file))
    : filled
  return { target, ...(await rest(what, method, { ...place, row, asker, file })) }
}

interface About extends Place {
  readonly row: Row
  readonly asker: Asker
  readonly file: string
}

async function rest(what: string, method: string, about: About): Promise<Partial<Asked>> {
  const { broker, file } = about
  const upload = { ...TUS, 'upload-length': '3', 'upload-metadata': metadataOf({ path: file }) }
  if (what.startsWith('/auth/upload')) {
    return { headers: { 'x-original-method': 'PUT', 'x-original-uri': `/files/${file}` } }
  }
  if (/^\/uploads\/?(,|$)/.test(what)) return { headers: upload }
  if (what.startsWith('/uploads/*')) {
    const [owner] = usersFor(about.row, 'right')
    const target = method === 'OPTIONS' ? '/uploads/x' : await createUpload(broker, upload, owner)
    const override = method === 'POST' && { 'x-http-method-override': 'PATCH' }
    return { target, headers: { ...TUS, ...PART, ...override }, body: NEW }
  }
  if (what.endsWith(', a form')) return { headers: FORM, body: formOf('form') }
  if (what === '/files/config/broker_users.xml') {
    return { body: await readFile(join(broker.directory, 'config/broker_users.xml'), 'utf8') }
  }
  if (what.includes('?restore')) return {}
  if (what === '/auth/tickets') return { headers: JSON_BODY, body: '{"purpose":"events"}' }
  if (what === '/auth/token') {
    return { headers: JSON_BODY, body: JSON.stringify({ subject_token: await jobToken(about) }) }
  }
  if (what === '/events') {
    const event = {
      specversion: '1.0',
      id: about.directory,
      source: '/s',
      type: 't',
      topic: 'ci/x',
    }
    return { headers: CLOUDEVENT, body: JSON.stringify(event) }
  }
  return { body: what.startsWith('/events/') ? '"x"' : NEW }
}

/** Of this page only the exchange of tokens has its credential in the body. */
function jobToken({ issuer, asker }: About): Promise<string> {
  if (asker === 'wrong') return issuer.token({}, { kid: 'of-another' })
  if (asker === 'expired') return issuer.token({ exp: 1 })
  if (asker === 'revoked') return issuer.token({ repository: 'acme/gone' })
  if (asker === 'no grant') return issuer.token({ repository: 'acme/another' })
  if (asker === 'the others') return issuer.token({ aud: 'another' })
  return asker === 'anonymous' ? Promise.resolve('none') : issuer.token()
}

async function store(broker: TestGateway, file: string, contents: readonly (string | null)[]) {
  for (const content of contents) {
    const method = content === null ? 'DELETE' : 'PUT'
    const answer = await broker.request(`/files/${file}`, { method, body: content, as: 'admin' })
    assert.ok(answer.ok, await answer.text())
  }
}

async function versionOf(broker: TestGateway, file: string): Promise<string> {
  const answer = await broker.request(`/files/${file}?versions`, { as: 'admin' })
  const { versions } = (await answer.json()) as VersionList
  return versions[0]?.version ?? ''
}

async function createUpload(
  broker: TestGateway,
  headers: Readonly<Record<string, string>>,
  owner: AskingUser | undefined,
): Promise<string> {
  const authorization = `Bearer ${owner?.token}`
  const init = { method: 'POST', headers: { ...headers, authorization } }
  const answer = await broker.request('/uploads', init)
  assert.equal(answer.status, 201, await answer.text())
  return answer.headers.get('location') ?? ''
}

function formOf(name: string): string {
  return `--b\r\nContent-Disposition: form-data; name="f"; filename="${name}"\r\n\r\n${NEW}\r\n--b--\r\n`
}
