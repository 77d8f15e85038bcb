import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Dealer } from 'zeromq'
import { RawPeer } from '../events/zmq-raw-peer.ts'
import { FilePolicyText } from '../support/file-policy.ts'
import { answerOf } from '../support/front.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { OidcIssuer } from '../support/oidc-issuer.ts'
import { routesRegisteredBy } from '../support/registered-routes.ts'
import { TestSocket } from '../support/test-socket.ts'
import { requestOf } from './permission-requests.ts'
import { type AskingUser, usersFor, usersXml } from './permission-users.ts'
import { ASKERS, type Asker, type Row, rowsOf } from './permissions-page.ts'

describe('the page of permissions', () => {
  let broker: TestGateway
  let issuer: OidcIssuer
  const endpoints = { zmqSession: '', zmqSubscribe: '' }
  const owned = new AsyncDisposableStack()
  let routes: ReadonlySet<string>
  let asked = 0

  before(async () => {
    for (const key of ['zmqSession', 'zmqSubscribe'] as const) {
      endpoints[key] = `tcp://127.0.0.1:${await freePort()}`
    }
    const rows = (await Promise.all((['HTTP', 'WebSocket', 'ZeroMQ'] as const).map(rowsOf))).flat()
    issuer = owned.use(await OidcIssuer.start())
    const policy = owned.use(await FilePolicyText.write({ paths: '**', versions: {} }))
    const flags = {
      ...{ filePolicy: policy.file, zmqSession: endpoints.zmqSession },
      zmqSubscribe: `${endpoints.zmqSubscribe}?security=plain&filter=ci/**`,
    }
    routes = await routesRegisteredBy(async () => {
      broker = owned.use(await startGateway(flags))
    })
    for (const withRevoked of [true, false]) {
      const users = usersXml(rows, issuer.url, { withRevoked })
      await writeFile(join(broker.directory, 'config/broker_users.xml'), users)
      await broker.gateway.reload()
    }
  })
  after(() => owned.disposeAsync())

  /** Each asks from an address of its own, so that no failure of one is held against another. */
  function newAddress(): string {
    asked += 1
    return `127.1.${asked >> 8}.${asked & 255}`
  }

  async function ask(row: Row, method: string, asker: Asker, user: AskingUser | undefined) {
    const localAddress = newAddress()
    const directory = `builds/${asked}`
    const { target, headers, body } = await requestOf(row, method, asker, {
      ...{ broker, issuer, directory },
    })
    const token = row.request.endsWith('/auth/token') ? undefined : user?.token
    const sent = request({
      ...{ host: '127.0.0.1', port: new URL(broker.url).port, localAddress, agent: false },
      ...{ method, path: target },
      headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
    })
    const takesBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
    return String((await answerOf(sent.end(takesBody ? body : undefined))).status)
  }

  it('has every route that is registered', async () => {
    const rows = await rowsOf('HTTP')
    const known = rows.flatMap(({ request }) => {
      const [methods = '', what = ''] = request.split(/ (?=\/)/)
      const route = what.replace(/[?,].*/, '').replace(/^\/files\/.*/, '/files/*')
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
    for (const row of await rowsOf('HTTP')) {
      const [methods = ''] = row.request.split(/ (?=\/)/)
      for (const method of methods.split(', ')) {
        const askers = ASKERS.flatMap((asker, at) =>
          usersFor(row, asker).map(async (user) => {
            const about = `${method} of ${row.request}: ${asker}, ${user?.name}`
            assert.equal(await ask(row, method, asker, user), row.answers[at], about)
          }),
        )
        await Promise.all(askers)
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
    const open = (path: string, user: AskingUser | undefined) => {
      const token = user?.token
      return TestSocket.open(`${broker.wsUrl}${path}`, {
        localAddress: newAddress(),
        ...(token && { token }),
      })
    }
    const outcome = async (path: string, user: AskingUser | undefined, op?: string) => {
      try {
        using socket = await open(path, op === 'auth' ? undefined : user)
        if (op === undefined) return 'open'
        const command = op === 'auth' ? { op, token: user?.token ?? '' } : { op, ...commands[op] }
        const reply = await socket.ask(command)
        return reply['op'] === 'ok' ? 'ok' : String((reply['problem'] as { code: string }).code)
      } catch (error) {
        return String(error).replace(/^Error: refused: /, '')
      }
    }
    for (const row of await rowsOf('WebSocket')) {
      const [path = '', op] = row.request.split(' ')
      for (const [at, asker] of ASKERS.entries()) {
        for (const user of usersFor(row, asker)) {
          const about = `${row.request}: ${asker}`
          assert.equal(await outcome(path, user, op), row.answers[at], about)
        }
      }
    }
  })

  it('is right about every verb over ZeroMQ', async () => {
    const frames: Readonly<Record<string, readonly string[]>> = {
      PUBLISH: ['ci/x', '1'],
      SUBSCRIBE: ['ci/**'],
      UNSUBSCRIBE: ['ci/**'],
    }
    const outcome = async (verb: string, user: AskingUser | undefined) => {
      const { name = '', token = '' } = user ?? {}
      if (verb.startsWith('SUB,')) return RawPeer.logIn(endpoints.zmqSubscribe, name, token)
      const dealer = new Dealer({ linger: 0 })
      dealer.connect(endpoints.zmqSession)
      const rest = frames[verb]
      await dealer.send(rest === undefined ? [verb] : [verb, token, ...rest])
      const [answer, problem] = await dealer.receive()
      dealer.close()
      return String(answer) === 'ERROR' ? JSON.parse(String(problem)).code : String(answer)
    }
    for (const row of await rowsOf('ZeroMQ')) {
      for (const [at, asker] of ASKERS.entries()) {
        for (const user of usersFor(row, asker)) {
          const about = `${row.request}: ${asker}`
          assert.equal(await outcome(row.request, user), row.answers[at], about)
        }
      }
    }
  })
})
