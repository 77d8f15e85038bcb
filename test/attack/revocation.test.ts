import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { curveKeyPair, Dealer, type SocketOptions, Subscriber } from 'zeromq'
import { sha256, startGateway, type TestGateway, USERS_XML } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { TestSocket } from '../support/test-socket.ts'

const TOKEN = 'dbk_revoked-for-tests-000000000000000000000'
const KEYS = curveKeyPair()

/** Two users who keep their roles; only what they come with may be taken out of the file. */
function usersXml(credentials: { token?: boolean; curveKey?: boolean }): string {
  const key = KEYS.publicKey.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const token = credentials.token ? `<token id="walker-1" sha256="${sha256(TOKEN)}"/>` : ''
  const curveKey = credentials.curveKey ? `<curve-key public="${key}"/>` : ''
  const users = `<user name="walker" roles="reader">${token}</user><user name="curved" roles="reader">${curveKey}</user>`
  return USERS_XML.replace('<anonymous', `${users}<anonymous`)
}

interface OpenStream {
  readonly name: string
  readonly ended: Promise<unknown>
}

class Opened extends DisposableStack {
  readonly streams: OpenStream[] = []

  async socket(name: string, url: string, token?: string): Promise<TestSocket> {
    const socket = this.use(await TestSocket.open(url, token === undefined ? {} : { token }))
    const ended = socket.closed.then(({ code }) => assert.equal(code, 4401, name))
    this.streams.push({ name, ended })
    return socket
  }

  /** @returns when its head is there: the broker has let it in */
  async body(name: string, url: string, headers: Record<string, string>): Promise<void> {
    const answer = await fetch(url, { headers })
    assert.equal(answer.status, 200, name)
    this.streams.push({ name, ended: answer.text() })
  }

  /** @returns when its handshake is over */
  async subscriber(name: string, endpoint: string, options: SocketOptions<Subscriber>) {
    const socket = new Subscriber({ linger: 0, reconnectInterval: 10, ...options })
    this.defer(() => socket.close())
    const connected = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    socket.events.on('handshake', () => connected.resolve())
    socket.events.on('disconnect', () => ended.resolve())
    socket.subscribe('')
    socket.connect(endpoint)
    await connected.promise
    // It comes back by itself, and must not be let in.
    const refused = new Promise((resolve) => socket.events.on('handshake:error:auth', resolve))
    this.streams.push({ name, ended: ended.promise.then(() => refused) })
  }

  async dealer(name: string, endpoint: string): Promise<Dealer> {
    const dealer = new Dealer({ linger: 0 })
    this.defer(() => dealer.close())
    dealer.connect(endpoint)
    await dealer.send(['SUBSCRIBE', TOKEN, 'ci/**'])
    assert.equal(String((await dealer.receive())[0]), 'OK')
    const told = dealer.receive().then(([verb, body]) => {
      assert.equal(String(verb), 'ERROR')
      assert.equal(JSON.parse(String(body)).code, 'CREDENTIAL_INVALID')
    })
    this.streams.push({ name, ended: told })
    return dealer
  }

  /** Resolves when all have ended, and tells when each did, from the write of the users file on. */
  async end(t: TestContext, broker: TestGateway, users: string): Promise<void> {
    const from = performance.now()
    await writeFile(join(broker.directory, 'config/broker_users.xml'), users)
    const times = await Promise.all(
      this.streams.map(async ({ name, ended }) => {
        await ended
        return { name, ms: performance.now() - from }
      }),
    )
    const [last] = times.sort((a, b) => b.ms - a.ms)
    t.diagnostic(`${times.length} ends; the last, ${last?.name}, after ${last?.ms.toFixed(0)} ms`)
  }
}

async function ticketOf(broker: TestGateway, purpose: string): Promise<string> {
  const answer = await broker.request('/auth/tickets', {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ purpose }),
  })
  const { ticket } = (await answer.json()) as { readonly ticket: string }
  return ticket
}

for (const workers of ['0', '1']) {
  describe(`a token that is taken back, with ${workers} workers`, () => {
    it('ends every stream that it opened, on every transport, and no other', async (t) => {
      const zmqSession = `tcp://127.0.0.1:${await freePort()}`
      const plain = `tcp://127.0.0.1:${await freePort()}`
      const flags = { workers, zmqSession, zmqSubscribe: `${plain}?filter=ci/**` }
      await using broker = await startGateway(flags, usersXml({ token: true, curveKey: true }))
      using opened = new Opened()
      const stream = '/events/ci/**'
      const authorization = `Bearer ${TOKEN}`
      const poll = fetch(`${broker.url}${stream}?since=latest&wait=60`, {
        headers: { authorization },
      })
      opened.streams.push({
        name: 'the long poll',
        ended: poll.then(({ status }) => assert.equal(status, 401)),
      })
      const session = await opened.socket('the session', `${broker.wsUrl}/ws`, TOKEN)
      await session.ask({ op: 'subscribe', filter: 'ci/**' })
      const byTicket = `${broker.wsUrl}/ws?ticket=${await ticketOf(broker, 'websocket')}`
      await opened.socket('the session of a ticket', byTicket)
      await opened.socket('the WebSocket stream', `${broker.wsUrl}${stream}`, TOKEN)
      const ticket = await ticketOf(broker, 'websocket')
      await opened.socket('that of a ticket', `${broker.wsUrl}${stream}?ticket=${ticket}`)
      for (const accept of ['text/event-stream', 'application/x-ndjson']) {
        const headers = { accept, authorization }
        await opened.body(accept, `${broker.url}${stream}`, headers)
        const url = `${broker.url}${stream}?ticket=${await ticketOf(broker, 'events')}`
        await opened.body(`${accept} of a ticket`, url, { accept })
      }
      const login = { plainUsername: 'walker', plainPassword: TOKEN }
      await opened.subscriber('the SUB', plain, login)
      const dealer = await opened.dealer('the DEALER', zmqSession)
      using other = await TestSocket.open(broker.wsUrl + stream, { token: broker.adminToken })
      await opened.end(t, broker, usersXml({ curveKey: true }))
      // Nothing comes to a DEALER after it was told.
      await broker.request('/events/ci/x', { as: 'admin', method: 'POST', body: '"after"' })
      await other.waitEvents(1)
      await dealer.send(['PING'])
      assert.equal(String((await dealer.receive())[0]), 'PONG')
    })
  })
}

describe('a CURVE key that is taken back', () => {
  it('ends the subscription that it opened, and opens no session any more', async (t) => {
    const session = `tcp://127.0.0.1:${await freePort()}`
    const subscribe = `tcp://127.0.0.1:${await freePort()}`
    const flags = {
      zmqSession: `${session}?security=curve`,
      zmqSubscribe: `${subscribe}?security=curve&filter=ci/**`,
    }
    await using broker = await startGateway(flags, usersXml({ token: true, curveKey: true }))
    using opened = new Opened()
    const curveServerKey = broker.gateway.curvePublicKey
    assert.ok(curveServerKey !== undefined)
    const keys = { curvePublicKey: KEYS.publicKey, curveSecretKey: KEYS.secretKey, curveServerKey }
    await opened.subscriber('the SUB', subscribe, keys)
    using inside = dealerOf(session, keys)
    await inside.socket.send(['SUBSCRIBE', TOKEN, 'ci/**'])
    assert.equal(String((await inside.socket.receive())[0]), 'OK')
    await opened.end(t, broker, usersXml({ token: true }))
    using outside = dealerOf(session, keys)
    await new Promise((resolve) => outside.socket.events.on('handshake:error:auth', resolve))
    // Who was let in is held by the token of each command, as on an endpoint without keys.
    await inside.socket.send(['PING'])
    assert.equal(String((await inside.socket.receive())[0]), 'PONG')
    await writeFile(join(broker.directory, 'config/broker_users.xml'), usersXml({}))
    assert.equal(String((await inside.socket.receive())[0]), 'ERROR')
  })
})

function dealerOf(endpoint: string, keys: SocketOptions<Dealer>) {
  const socket = new Dealer({ linger: 0, ...keys })
  socket.connect(endpoint)
  return { socket, [Symbol.dispose]: () => socket.close() }
}
