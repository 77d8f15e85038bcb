import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { Script } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { Receipt } from '../../src/events/publish/publisher.ts'
import { CommandFault, readCommand } from '../../src/events/websocket/websocket-command.ts'
import type { FileChange } from '../../src/files/file-change.ts'
import type { Listing } from '../../src/files/http/listing.ts'
import type { SyncAnswer } from '../../src/files/http/post-sync.ts'
import type { UploadAnswer } from '../../src/files/http/put-file.ts'
import type { DeletedEntry, VersionEntry } from '../../src/files/http/versions.ts'
import type * as answers from '../../src/gateway/description/answer-schemas.ts'
import { asyncApiDocument } from '../../src/gateway/description/asyncapi-document.ts'
import type * as events from '../../src/gateway/description/event-schemas.ts'
import { installDescription } from '../../src/gateway/description/install-description.ts'
import { openApiDocument } from '../../src/gateway/description/openapi-document.ts'
import { PROBLEMS } from '../../src/protocol/problem.ts'
import { faultsBy, isObject, referencesOf, resolve } from './description-fixture.ts'

const CONTEXT = { version: '1.2.3', publicUrl: 'https://broker.example' }
const OPENAPI = openApiDocument(CONTEXT)
const ASYNCAPI = asyncApiDocument(CONTEXT)

/** Checked by the compiler: what the code answers has the shape that the schemas tell. */
type Described<Answer extends Shape, Shape> = [Answer, Shape]
export type AnswersAsDescribed = [
  Described<Receipt, Static<typeof events.Receipt>>,
  Described<Omit<FileChange, 'errors'>, Static<typeof events.FileChange>>,
  Described<UploadAnswer, Static<typeof answers.UploadAnswer>>,
  Described<SyncAnswer, Static<typeof answers.SyncAnswer>>,
  Described<Listing['entries'][number], Static<typeof answers.ListingEntry>>,
  Described<VersionEntry, Static<typeof answers.VersionEntry>>,
  Described<DeletedEntry, Static<typeof answers.DeletedEntry>>,
]

function operationsOf(document: typeof OPENAPI) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  )
}

describe('the OpenAPI document', () => {
  it('resolves every reference', () => {
    const dangling = referencesOf(OPENAPI).filter((ref) => resolve(OPENAPI, ref) === undefined)
    assert.deepEqual([...new Set(dangling)], [])
  })

  it('names every operation once and gives each a success and its problems', () => {
    const ids = new Set<string>()
    for (const { path, method, operation } of operationsOf(OPENAPI)) {
      const where = `${method} ${path}`
      assert.match(operation.operationId, /^[a-z][A-Za-z]+$/, where)
      assert.ok(!ids.has(operation.operationId), where)
      ids.add(operation.operationId)
      const statuses = Object.keys(operation.responses)
      assert.ok(
        statuses.some((status) => /^[123]\d\d$/.test(status)),
        where,
      )
      assert.ok(statuses.includes('default'), where)
      for (const response of Object.values(operation.responses)) {
        assert.ok('$ref' in response || response.description !== '', where)
      }
    }
  })

  it('declares exactly the parameters that a path holds, each with a schema', () => {
    for (const { path, method, operation } of operationsOf(OPENAPI)) {
      const held = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const parameters = operation.parameters ?? []
      const inPath = parameters.filter((parameter) => parameter.in === 'path')
      assert.deepEqual(
        inPath.map(({ name }) => name),
        held,
        `${method} ${path}`,
      )
      assert.ok(inPath.every(({ required }) => required === true))
      assert.ok(parameters.every(({ schema }) => isObject(schema)))
      const keys = parameters.map((parameter) => `${parameter.in} ${parameter.name}`)
      assert.equal(new Set(keys).size, keys.length, `${method} ${path}`)
    }
  })

  it('has no two templates of one address', () => {
    const shapes = Object.keys(OPENAPI.paths).map((path) => path.replaceAll(/\{\w+\}/g, '{}'))
    assert.equal(new Set(shapes).size, shapes.length)
  })

  it('declares every tag and security scheme that it uses', () => {
    const tags = OPENAPI.tags.map(({ name }) => String(name))
    const schemes = Object.keys(OPENAPI.components.securitySchemes)
    for (const { operation } of operationsOf(OPENAPI)) {
      assert.ok(operation.tags.every((tag) => tags.includes(tag)))
      const names = [...OPENAPI.security, ...(operation.security ?? [])].flatMap(Object.keys)
      assert.ok(names.every((name) => schemes.includes(name)))
    }
  })

  it('knows every problem code', () => {
    const { ProblemCode } = OPENAPI.components.schemas
    assert.deepEqual(resolve({ ProblemCode }, '#/ProblemCode/enum'), Object.keys(PROBLEMS))
  })
})

describe('the AsyncAPI document', () => {
  it('resolves every reference', () => {
    const dangling = referencesOf(ASYNCAPI).filter((ref) => resolve(ASYNCAPI, ref) === undefined)
    assert.deepEqual([...new Set(dangling)], [])
  })

  it('has operations that name a channel and messages of that channel', () => {
    const operations: Readonly<Record<string, unknown>> = ASYNCAPI.operations
    assert.notEqual(Object.keys(operations).length, 0)
    for (const [name, operation] of Object.entries(operations)) {
      assert.match(String(resolve(operation, '#/action')), /^(send|receive)$/, name)
      assertMessagesOfChannel(operation, name)
      const reply = resolve(operation, '#/reply')
      assert.equal(reply !== undefined, resolve(operation, '#/action') === 'receive', name)
      if (reply !== undefined) assertMessagesOfChannel(reply, name)
    }
  })

  it('uses every message of every channel', () => {
    const used = new Set(referencesOf(ASYNCAPI.operations))
    const channels: Readonly<Record<string, unknown>> = ASYNCAPI.channels
    for (const [name, channel] of Object.entries(channels)) {
      for (const message of Object.keys(resolve(channel, '#/messages') ?? {})) {
        const ref = `#/channels/${name}/messages/${message}`
        assert.ok(used.has(ref), ref)
      }
    }
  })

  it('has the parameters that the address of a channel holds', () => {
    const channels: Readonly<Record<string, unknown>> = ASYNCAPI.channels
    for (const channel of Object.values(channels)) {
      const address = String(resolve(channel, '#/address') ?? '')
      const held = [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      assert.deepEqual(Object.keys(resolve(channel, '#/parameters') ?? {}), held)
    }
  })

  it('speaks TLS where the public URL does, below its path', () => {
    const { servers } = asyncApiDocument({ ...CONTEXT, publicUrl: 'https://a.example/broker' })
    assert.equal(servers.websocket.protocol, 'wss')
    assert.equal(resolve(servers.http, '#/pathname'), '/broker')
    assert.equal(servers.zmqSession.variables.hostname.default, 'a.example')
    const plain = asyncApiDocument({ ...CONTEXT, publicUrl: 'http://127.0.0.1:8080' }).servers
    assert.equal(plain.websocket.protocol, 'ws')
    assert.equal(plain.http.host, '127.0.0.1:8080')
  })

  it('describes the commands that the session reads', () => {
    const event = { specversion: '1.0', type: 'x' }
    const commands: readonly (readonly [fields: object, isRead: boolean])[] = [
      [{ op: 'auth', token: 'dbk_x' }, true],
      [{ op: 'auth' }, false],
      [{ op: 'auth', token: '' }, false],
      [{ op: 'auth', token: 'x'.repeat(513) }, false],
      [{ op: 'subscribe', filters: ['ci/**'], since: 'k3x9:1000' }, true],
      [{ op: 'subscribe', filter: 'ci/**', since: 'earliest' }, true],
      [{ op: 'subscribe', filters: [] }, false],
      [{ op: 'subscribe' }, false],
      [{ op: 'subscribe', filter: 'ci/**', since: 'now' }, false],
      [{ op: 'unsubscribe', filters: ['ci/**'] }, true],
      [{ op: 'unsubscribe', filter: 7 }, false],
      [{ op: 'publish', topic: 'ci/x', event }, true],
      [{ op: 'publish', topic: 'ci/x', data: null, type: 'y' }, true],
      [{ op: 'publish', topic: 'ci/x' }, false],
      [{ op: 'publish', topic: 'ci/x', data: 1, event }, false],
      [{ op: 'publish', topic: 7, data: 1 }, false],
      [{ op: 'ping' }, true],
    ]
    for (const [fields, isRead] of commands) {
      const command = { ...fields, id: 1 }
      const name = String(resolve(command, '#/op'))
      const schema = { $ref: `#/channels/session/messages/${name}` }
      const payload = resolve(resolve(ASYNCAPI, schema.$ref), '#/payload')
      assert.ok(isObject(payload), name)
      const text = JSON.stringify(command)
      if (isRead) assert.equal(readCommand(text).op, name)
      else assert.throws(() => readCommand(text), CommandFault, text)
      assert.equal(faultsBy(ASYNCAPI, payload, command) === '', isRead, text)
    }
  })
})

describe('the routes of the description', () => {
  function appWith(publicUrl: string): FastifyInstance {
    const app = Fastify()
    app.decorateRequest('publicUrl', { getter: () => publicUrl })
    installDescription(app, '1.2.3')
    return app
  }

  it('answer both documents with the URL that the caller uses', async () => {
    await using app = appWith('https://broker.example')
    const openApi = await app.inject('/openapi.json')
    assert.match(openApi.headers['content-type'] ?? '', /^application\/json/)
    assert.deepEqual(openApi.json(), JSON.parse(JSON.stringify(OPENAPI)))
    const asyncApi = await app.inject('/asyncapi.json')
    assert.deepEqual(asyncApi.json(), JSON.parse(JSON.stringify(ASYNCAPI)))
  })

  it('are relative when no URL is known', async () => {
    await using app = appWith('')
    assert.deepEqual((await app.inject('/openapi.json')).json().servers, [{ url: '/' }])
  })

  it('answer a page whose policy admits its own style and script and nothing else', async () => {
    await using app = appWith('')
    const { body, headers } = await app.inject('/openapi')
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /unsafe/)
    const inline = [...body.matchAll(/<(style|script)>([\s\S]*?)<\/\1>/g)]
    assert.equal(inline.length, 2)
    for (const [, element, text = ''] of inline) {
      const hash = createHash('sha256').update(text).digest('base64')
      assert.ok(policy.includes(`${element}-src 'sha256-${hash}'`), element)
    }
    assert.doesNotThrow(() => new Script(inline[1]?.[2] ?? 'throw'))
    assert.doesNotMatch(body, /<(script|link|img)[^>]+(src|href)=| style="| on\w+="/)
  })

  it('answer a page with a form for every operation', async () => {
    await using app = appWith('')
    const { body } = await app.inject('/openapi')
    for (const { path, method, operation } of operationsOf(OPENAPI)) {
      assert.ok(body.includes(`id="${operation.operationId}"`), operation.operationId)
      const form = `data-method="${method.toUpperCase()}" data-path="${path}"`
      assert.ok(body.includes(form), form)
    }
  })
})

function assertMessagesOfChannel(value: unknown, name: string): void {
  const channel = String(resolve(value, '#/channel/$ref'))
  const messages = resolve(value, '#/messages')
  assert.ok(Array.isArray(messages) && messages.length > 0, name)
  for (const ref of referencesOf(messages)) assert.ok(ref.startsWith(`${channel}/messages/`), name)
}
