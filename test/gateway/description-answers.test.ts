import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { asyncApiDocument } from '../../src/gateway/description/asyncapi-document.ts'
import { OPENAPI_PATHS, openApiDocument } from '../../src/gateway/description/openapi-document.ts'
import { FilePolicyText } from '../support/file-policy.ts'
import { startGateway, type TestGateway, type TestUser } from '../support/gateway.ts'
import { routesRegisteredBy } from '../support/registered-routes.ts'
import { type Message, TestSocket } from '../support/test-socket.ts'
import { faultsBy, isObject, resolve } from './description-fixture.ts'

const CONTEXT = { version: '', publicUrl: '' }
const OPENAPI = openApiDocument(CONTEXT)
const ASYNCAPI = asyncApiDocument(CONTEXT)

/** Asked by the front server, of no use to others. */
const INTERNAL = ['GET /auth/upload']

/** The root directory without its slash, and uploads with one. */
const ALIASES = [
  ...['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'].map((method) => `${method} /files`),
  'POST /uploads/',
]

/** Methods below `/files` whose handler answers 405. */
const REFUSED = METHODS.filter(
  (method) => !['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'].includes(method),
).flatMap((method) => [`${method} /files`, `${method} /files/*`])

/** The route that a path of the document is served by. */
function routeOf(path: string): string {
  if (path.startsWith('/files/')) return '/files/*'
  if (path === '/uploads/{id}') return '/uploads/*'
  return path === '/events/{topic}' ? '/events/*' : path.replace(/\{(\w+)\}/, ':$1')
}

describe('the description of a running broker', () => {
  let broker: TestGateway
  let routes: ReadonlySet<string>

  before(async () => {
    routes = await routesRegisteredBy(async () => {
      broker = await startGateway()
    })
  })

  after(() => broker[Symbol.asyncDispose]())

  /** Sends a request and holds the answer against the schema of its status and media type. */
  async function check(
    operationId: string,
    path: string,
    options: RequestInit & { as?: TestUser | 'admin' } = {},
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const response = await broker.request(path, { as: 'admin', ...options })
    const text = await response.text()
    const { status } = response
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';')
    const schema = schemaOf(operationId, status, type)
    const where = `${operationId} ${status} ${type}`
    assert.ok(isObject(schema), `${where} is not described`)
    const body: unknown = type.endsWith('json') ? JSON.parse(text) : text
    assert.equal(faultsBy(OPENAPI, schema, body), '', where)
    return { status, body }
  }

  function post(body: unknown, type = 'application/json') {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return { method: 'POST', body: text, headers: { 'content-type': type } }
  }

  it('has every route that is registered, and no other', () => {
    const described = Object.entries(OPENAPI_PATHS).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${routeOf(path)}`),
    )
    // Fastify adds HEAD to a GET by itself.
    const isOwnHead = (route: string) =>
      route.startsWith('HEAD ') && !described.includes(route) && !ALIASES.includes(route)
    const left = [...INTERNAL, ...ALIASES, ...REFUSED]
    const registered = [...routes].filter((route) => !left.includes(route) && !isOwnHead(route))
    assert.deepEqual(registered.sort(), [...new Set(described)].sort())
    const gone = [...INTERNAL, ...ALIASES].filter((route) => !routes.has(route))
    assert.deepEqual(gone, [])
  })

  it('is right about publishing', async () => {
    const event = { specversion: '1.0', type: 'x', id: '1', source: '/s', data: { n: 1 } }
    const type = 'application/cloudevents+json'
    const first = await check('publish', '/events/ci/a', post(event, type))
    assert.equal(first.status, 201)
    const again = await check('publish', '/events/ci/a', post(event, type))
    assert.equal(again.status, 200)
    const lines = post('{"a":1}\n{"a":2}\n', 'application/x-ndjson')
    const many = await check('publish', '/events/ci/a', lines)
    assert.ok(Array.isArray(many.body) && many.body.length === 2)
    const own = post([{ ...event, id: '2', topic: 'ci/b' }], 'application/cloudevents-batch+json')
    assert.equal((await check('publishEvents', '/events', own)).status, 201)
    await check('publish', '/events/ci/a', post(new Date().toISOString(), 'text/plain'))
  })

  it('is right about a page of events, changes of files among them', async () => {
    await check('publish', '/events/ci/page', post({ n: 1 }))
    await check('putFile', '/files/page/a.txt', { method: 'PUT', body: 'a' })
    const { body } = await check('subscribeAll', '/events')
    const events = resolve(body, '#/events')
    assert.ok(Array.isArray(events))
    const told = events.find((each) => isObject(each) && each['type'] === 'FILE CREATED')
    assert.equal(faultsBy(OPENAPI, { $ref: '#/components/schemas/FileEvent' }, told), '')
    await check('subscribe', '/events/ci/**?limit=1')
    const missed = await check('subscribe', '/events/ci/**?since=zzz:1')
    const gap = resolve(missed.body, '#/events/0')
    assert.equal(faultsBy(OPENAPI, { $ref: '#/components/schemas/EventsMissed' }, gap), '')
  })

  it('is right about files and listings', async () => {
    const put = () => check('putFile', '/files/some/a.txt', { method: 'PUT', body: 'a' })
    assert.equal((await put()).status, 201)
    const again = await put()
    assert.equal(again.status, 200)
    assert.equal(resolve(again.body, '#/position'), null)
    const form = new FormData()
    form.append('file', new Blob(['b']), 'b.txt')
    const stored = await check('postToDirectory', '/files/some/', { method: 'POST', body: form })
    assert.equal(stored.status, 201)
    await check('listRoot', '/files/')
    const page = await check('listDirectory', '/files/some/?limit=1')
    assert.equal(resolve(page.body, '#/next'), 'a.txt')
    await check('listRoot', '/files/?recursive')
    await check('syncFiles', '/files/sync', { method: 'POST' })
  })

  it('is right about versions and deleted files', async () => {
    await using policy = await FilePolicyText.write({ paths: '**', versions: {} })
    await using keeping = await startGateway({ filePolicy: policy.file })
    const ask = async (target: string, options: RequestInit = {}) =>
      (await keeping.request(target, { as: 'admin', ...options })).text()
    for (const body of ['a', 'b']) await ask('/files/d/x', { method: 'PUT', body })
    await ask('/files/d/x', { method: 'DELETE' })
    const versions: unknown = JSON.parse(await ask('/files/d/x?versions'))
    const list = { $ref: '#/components/schemas/VersionList' }
    assert.equal(faultsBy(OPENAPI, list, versions), '')
    assert.ok(isObject(resolve(versions, '#/versions/1')))
    const deleted: unknown = JSON.parse(await ask('/files/d/?deleted'))
    const listing = { $ref: '#/components/schemas/DeletedListing' }
    assert.equal(faultsBy(OPENAPI, listing, deleted), '')
    assert.ok(isObject(resolve(deleted, '#/entries/0')))
  })

  it('is right about identity', async () => {
    for (const as of ['admin', 'jenkins'] as const) await check('whoAmI', '/auth/me', { as })
    const anonymous = await broker.request('/auth/me')
    const schema = { $ref: '#/components/schemas/WhoAmI' }
    assert.equal(faultsBy(OPENAPI, schema, await anonymous.json()), '')
    const purpose = post({ purpose: 'websocket' })
    const ticket = await check('createTicket', '/auth/tickets', { ...purpose, as: 'jenkins' })
    assert.equal(ticket.status, 201)
  })

  it('is right about the broker itself', async () => {
    await check('home', '/')
    await check('home', '/', { headers: { accept: 'text/html' } })
    await check('isAlive', '/livez')
    assert.equal((await check('isReady', '/readyz')).status, 200)
    await check('metrics', '/metrics')
    await check('describeProblem', '/problems/FORBIDDEN')
    await check('openApi', '/openapi.json')
    await check('asyncApi', '/asyncapi.json')
    await check('openApiPage', '/openapi')
  })

  it('is right about problems', async () => {
    const missing = await check('describeProblem', '/problems/NOTHING')
    assert.equal(missing.status, 404)
    const reserved = await check('publish', '/events/broker/x', post(1))
    assert.equal(reserved.status, 403)
    const forbidden = await check('publish', '/events/other', { ...post(1), as: 'jenkins' })
    assert.equal(resolve(forbidden.body, '#/missing'), 'publish')
    const lines = post('{"a":1}\n{', 'application/x-ndjson')
    assert.equal(resolve((await check('publish', '/events/ci/a', lines)).body, '#/index'), 1)
    const users = { method: 'PUT', body: '<broker-users/>' }
    const invalid = await check('putFile', '/files/config/broker_users.xml', users)
    assert.equal(invalid.status, 422)
    const absent = await check('getFile', '/files/not/there')
    assert.equal(absent.status, 404)
    const failed = { method: 'PUT', body: 'x', headers: { 'if-match': '"other"' } }
    assert.equal((await check('putFile', '/files/not/there', failed)).status, 412)
    assert.equal((await check('subscribe', '/events/a//b')).status, 400)
    assert.equal((await check('openSession', '/ws')).status, 426)
    const headers = { authorization: 'Bearer dbk_wrong' }
    const unknown = await fetch(`${broker.url}/livez`, { headers })
    assert.equal(unknown.status, 401)
    const schema = schemaOf('isAlive', unknown.status, 'application/problem+json')
    assert.ok(isObject(schema))
    assert.equal(faultsBy(OPENAPI, schema, await unknown.json()), '')
  })

  it('is right about the messages of a session', async () => {
    using socket = await TestSocket.open(`${broker.wsUrl}/ws`, { protocols: ['broker.v1.json'] })
    const checkMessage = (name: string, message: Message) => {
      const payload = resolve(ASYNCAPI, `#/channels/session/messages/${name}/payload`)
      assert.ok(isObject(payload), name)
      assert.equal(faultsBy(ASYNCAPI, payload, message), '', name)
    }
    checkMessage('welcome', await socket.wait(({ op }) => op === 'welcome'))
    const commands: readonly (readonly [reply: string, command: Message])[] = [
      ['authOk', { op: 'auth', token: broker.adminToken }],
      ['subscribeOk', { op: 'subscribe', filters: ['session/**'], since: 'earliest' }],
      ['publishOk', { op: 'publish', topic: 'session/x', data: { n: 1 } }],
      ['pingOk', { op: 'ping' }],
      ['error', { op: 'publish', topic: 'files/x', data: 1 }],
      ['unsubscribeOk', { op: 'unsubscribe', filter: 'session/**' }],
    ]
    for (const [reply, command] of commands) {
      const answer = await socket.ask(command)
      assert.equal(answer['op'], reply === 'error' ? 'error' : 'ok')
      checkMessage(reply, answer)
    }
    checkMessage('position', await socket.wait(({ op }) => op === 'position'))
    const [event = {}] = await socket.waitEvents(1)
    checkMessage('event', event)
  })
})

/** The schema of an answer; problems that no route is free of are told by `default`. */
function schemaOf(operationId: string, status: number, type: string): unknown {
  const operation = Object.values(OPENAPI_PATHS)
    .flatMap((item) => Object.values(item))
    .find((each) => each.operationId === operationId)
  const response = operation?.responses[status] ?? operation?.responses['default']
  const told = response && '$ref' in response ? resolve(OPENAPI, response.$ref) : response
  return resolve(told, `#/content/${type.replaceAll('/', '~1')}/schema`)
}
