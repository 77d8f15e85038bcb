import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Dealer } from 'zeromq'
import { answerOf } from '../support/front.ts'
import { sha256, startGateway, type TestGateway, USERS_XML } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { routesRegisteredBy } from '../support/registered-routes.ts'
import { TestSocket } from '../support/test-socket.ts'

/** Who asks, in the order of the columns of the page. */
const ASKERS = ['anonymous', 'wrong', 'expired', 'revoked', 'too little', 'right'] as const

type Asker = (typeof ASKERS)[number]

const TOKEN_OF: Readonly<Record<Exclude<Asker, 'anonymous' | 'right'>, string>> = {
  wrong: 'dbk_wrong-for-tests-00000000000000000000000',
  expired: 'dbk_expired-for-tests-000000000000000000000',
  revoked: 'dbk_revoked-for-tests-000000000000000000000',
  'too little': 'dbk_little-for-tests-0000000000000000000000',
}

function user(name: string, token: string, more = ''): string {
  return `<user name="${name}" roles="${name === 'little' ? 'public' : 'reader'}"><token id="${name}" sha256="${sha256(token)}"${more}/></user>`
}

const EXPIRED = user('expired', TOKEN_OF.expired, ' expires="2020-01-01T00:00:00Z"')
const REVOKED = user('revoked', TOKEN_OF.revoked)
const LITTLE = user('little', TOKEN_OF['too little'])

function usersWith(...users: string[]): string {
  return USERS_XML.replace('<anonymous', `${users.join('')}<anonymous`)
}

/** What stands for the route in a request. */
const PATHS: Readonly<Record<string, string>> = {
  '/files/*': '/files/builds/x',
  '/events/*': '/events/ci/x',
  '/uploads/*': '/uploads/01AN4Z07BY79KA1307SR9X4MV3',
  '/problems/:code': '/problems/NOT_FOUND',
}

/** A new upload of three bytes to `builds/y`. */
const TUS = {
  'tus-resumable': '1.0.0',
  'upload-length': '3',
  'upload-metadata': `path ${Buffer.from('builds/y').toString('base64')}`,
}

const HEADERS: Readonly<Record<string, Record<string, string>>> = {
  '/auth/tickets': { 'content-type': 'application/json' },
  '/events': { 'content-type': 'application/cloudevents+json' },
  '/auth/token': { 'content-type': 'application/json' },
  '/uploads': TUS,
  '/uploads/': TUS,
  '/uploads/*': { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': '0' },
  '/auth/upload': { 'x-original-method': 'PUT', 'x-original-uri': '/files/builds/x' },
}

const BODIES: Readonly<Record<string, string>> = {
  '/auth/tickets': '{"purpose":"events"}',
  '/auth/token': '{"subject_token":"none"}',
  '/uploads': '',
  '/uploads/': '',
  '/events': '{"specversion":"1.0","id":"1","source":"/s","type":"t","topic":"ci/x"}',
}

interface Row {
  readonly request: string
  readonly answers: readonly string[]
}

/** The rows of the tables of the page below `heading`. */
async function rowsOf(heading: string): Promise<Row[]> {
  const page = await readFile(join(import.meta.dirname, '../../docs/permissions.md'), 'utf8')
  const [, section = ''] = page.split(`## ${heading}\n`)
  const lines = (section.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  return lines.map((line) => {
    const [request = '', , ...answers] = line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1)
    return { request: request.replaceAll('`', ''), answers }
  })
}

describe('the page of permissions', () => {
  let broker: TestGateway
  let zmqSession: string
  let routes: ReadonlySet<string>
  let asked = 0

  before(async () => {
    zmqSession = `tcp://127.0.0.1:${await freePort()}`
    routes = await routesRegisteredBy(async () => {
      broker = await startGateway({ zmqSession }, usersWith(EXPIRED, REVOKED, LITTLE))
    })
    await writeFile(join(broker.directory, 'config/broker_users.xml'), usersWith(EXPIRED, LITTLE))
    await broker.gateway.reload()
  })
  after(async () => {
    await broker[Symbol.asyncDispose]()
  })

  function tokenOf(asker: Asker): string | undefined {
    if (asker === 'anonymous') return undefined
    return asker === 'right' ? broker.adminToken : TOKEN_OF[asker]
  }

  /** Each asks from an address of its own, so that no failure of one is held against another. */
  function newAddress(): string {
    asked += 1
    return `127.1.${asked >> 8}.${asked & 255}`
  }

  async function ask(method: string, route: string, asker: Asker): Promise<string> {
    const token = tokenOf(asker)
    const sent = request({
      host: '127.0.0.1',
      port: new URL(broker.url).port,
      localAddress: newAddress(),
      agent: false,
      method,
      path: PATHS[route] ?? route,
      headers: { ...HEADERS[route], ...(token && { authorization: `Bearer ${token}` }) },
    })
    const takesBody = method === 'POST' || method === 'PUT'
    return String(
      (await answerOf(sent.end(takesBody ? (BODIES[route] ?? '"x"') : undefined))).status,
    )
  }

  it('has every route that is registered', async () => {
    const rows = await rowsOf('HTTP')
    const known = rows.flatMap(({ request }) => {
      const [methods = '', route = ''] = request.split(/ (?=\/|\*)/)
      return methods.split(', ').map((method) => `${method} ${route}`)
    })
    // The methods that files refuse are answered alike to everybody.
    const left = [...routes].filter(
      (route) => !known.includes(route) && !/ \/files(\/\*)?$/.test(route),
    )
    assert.deepEqual(left, [])
    assert.deepEqual(
      known.filter((route) => !routes.has(route)),
      [],
    )
  })

  it('is right about every route and everybody', async () => {
    for (const { request, answers } of await rowsOf('HTTP')) {
      const [methods = '', route = ''] = request.split(/ (?=\/|\*)/)
      for (const method of methods.split(', ')) {
        for (const [at, asker] of ASKERS.entries()) {
          assert.equal(await ask(method, route, asker), answers[at], `${method} ${route}: ${asker}`)
        }
      }
    }
  })

  it('is right about every command of a WebSocket', async () => {
    const commands: Readonly<Record<string, Record<string, unknown>>> = {
      subscribe: { filter: 'ci/**' },
      publish: { topic: 'ci/x', data: 1 },
      unsubscribe: { filters: ['ci/**'] },
      ping: {},
    }
    const open = (path: string, asker: Asker) => {
      const token = tokenOf(asker)
      return TestSocket.open(`${broker.wsUrl}${path}`, {
        localAddress: newAddress(),
        ...(token && { token }),
      })
    }
    const outcome = async (path: string, asker: Asker, op?: string) => {
      try {
        using socket = await open(op === 'auth' ? '/ws' : path, op === 'auth' ? 'anonymous' : asker)
        if (op === undefined) return 'open'
        const token = tokenOf(asker) ?? ''
        const command = op === 'auth' ? { op, token } : { op, ...commands[op] }
        const reply = await socket.ask(command)
        return reply['op'] === 'ok' ? 'ok' : String((reply['problem'] as { code: string }).code)
      } catch (error) {
        return String(error).replace(/^Error: refused: /, '')
      }
    }
    for (const { request, answers } of await rowsOf('WebSocket')) {
      const [path = '', op] = request.split(' ')
      for (const [at, asker] of ASKERS.entries()) {
        assert.equal(await outcome(path, asker, op), answers[at], `${request}: ${asker}`)
      }
    }
  })

  it('is right about every verb over ZeroMQ', async () => {
    const frames: Readonly<Record<string, readonly string[]>> = {
      PUBLISH: ['ci/x', '1'],
      SUBSCRIBE: ['ci/**'],
      UNSUBSCRIBE: ['ci/**'],
    }
    for (const { request: verb, answers } of await rowsOf('ZeroMQ')) {
      for (const [at, asker] of ASKERS.entries()) {
        const dealer = new Dealer({ linger: 0 })
        dealer.connect(zmqSession)
        const rest = frames[verb]
        await dealer.send(rest === undefined ? [verb] : [verb, tokenOf(asker) ?? '', ...rest])
        const [answer, problem] = await dealer.receive()
        dealer.close()
        const code = String(answer) === 'ERROR' ? JSON.parse(String(problem)).code : String(answer)
        assert.equal(code, answers[at], `${verb}: ${asker}`)
      }
    }
  })
})

for (const workers of ['0', '1']) {
  describe(`a token that is taken back, with ${workers} workers`, () => {
    it('ends every stream that it opened, on every transport, and no other', async () => {
      const zmqSession = `tcp://127.0.0.1:${await freePort()}`
      await using broker = await startGateway({ workers, zmqSession }, usersWith(REVOKED, LITTLE))
      const token = TOKEN_OF.revoked
      using session = await TestSocket.open(`${broker.wsUrl}/ws`, { token })
      await session.ask({ op: 'subscribe', filter: 'ci/**' })
      using stream = await TestSocket.open(`${broker.wsUrl}/events/ci/**`, { token })
      using other = await TestSocket.open(`${broker.wsUrl}/events/ci/**`, {
        token: broker.adminToken,
      })
      const bodies = await Promise.all(
        ['text/event-stream', 'application/x-ndjson'].map((accept) => {
          const headers = { authorization: `Bearer ${token}`, accept }
          return fetch(`${broker.url}/events/ci/**`, { headers })
        }),
      )
      const dealer = new Dealer({ linger: 0 })
      dealer.connect(zmqSession)
      await dealer.send(['SUBSCRIBE', token, 'ci/**'])
      assert.equal(String((await dealer.receive())[0]), 'OK')
      await writeFile(join(broker.directory, 'config/broker_users.xml'), usersWith(LITTLE))
      assert.equal((await session.closed).code, 4401)
      assert.equal((await stream.closed).code, 4401)
      // The text of a stream is there when the stream has ended.
      for (const body of bodies) assert.equal(body.status, 200)
      await Promise.all(bodies.map((body) => body.text()))
      // A DEALER is told with the next of its commands; nothing comes to it meanwhile.
      await broker.request('/events/ci/x', { as: 'admin', method: 'POST', body: '"after"' })
      await other.waitEvents(1)
      await dealer.send(['PING'])
      const answers: string[] = []
      while (answers.at(-1) !== 'PONG') answers.push(String((await dealer.receive())[0]))
      assert.ok(!answers.includes('EVENT'), answers.join())
      dealer.close()
    })
  })
}
