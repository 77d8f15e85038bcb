import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { sha256, startGateway, type TestGateway, TOKENS, USERS_XML } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

function publish(on: TestGateway, topic: string, data: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify(data)
  return on.request(`/events/${topic}`, { method: 'POST', body, headers, as: 'admin' })
}

for (const workers of ['0', '2']) {
  const broker = await startGateway({ workers })
  after(() => broker[Symbol.asyncDispose]())
  const url = `${broker.wsUrl}/ws`

  describe(workers === '0' ? 'in one process' : `held by ${workers} workers`, () => {
    test('a session authenticates with its first message', async () => {
      using socket = await TestSocket.open(url)
      const welcome = await socket.wait(({ op }) => op === 'welcome')
      assert.deepEqual(welcome, {
        op: 'welcome',
        protocol: 'broker.v1.json',
        user: null,
        pingIntervalMs: 25000,
      })
      const refused = await socket.ask({ op: 'subscribe', filter: 'ci/**' })
      const { code, type } = refused['problem'] as { code: string; type: string }
      assert.deepEqual([code, type], ['UNAUTHENTICATED', `${broker.url}/problems/UNAUTHENTICATED`])
      const reply = await socket.ask({ op: 'auth', token: TOKENS.dashboard })
      assert.deepEqual(reply, { op: 'ok', id: 2, user: 'dashboard', expires: null })
    })

    test('a session with a header is welcomed with its user and a position', async () => {
      using socket = await TestSocket.open(url, { token: TOKENS.reader })
      const welcome = await socket.wait(({ op }) => op === 'welcome')
      assert.equal(welcome['user'], 'reader')
      assert.match(String(welcome['position']), /^[0-9a-z]+:\d+$/)
    })

    test('a session takes its token from the subprotocol and echoes the real one', async () => {
      const bearer = `bearer.${Buffer.from(TOKENS.reader).toString('base64url')}`
      using socket = await TestSocket.open(url, { protocols: ['broker.v1.json', bearer] })
      assert.equal(socket.socket.protocol, 'broker.v1.json')
      const welcome = await socket.wait(({ op }) => op === 'welcome')
      assert.equal(welcome['user'], 'reader')
    })

    test('compression is not agreed to, whoever offers it', async () => {
      for (const address of [url, `${broker.wsUrl}/events/ws/**`]) {
        using socket = await TestSocket.open(address, {
          token: TOKENS.reader,
          perMessageDeflate: true,
        })
        assert.equal(socket.socket.extensions, '')
      }
    })

    test('a connection has at most 128 filters', async () => {
      using socket = await TestSocket.open(url, { token: TOKENS.reader })
      const filters = Array.from({ length: 127 }, (_, i) => `many/${i}`)
      const subscribe = (...more: string[]) => socket.ask({ op: 'subscribe', filters: more })
      assert.equal((await subscribe(...filters))['op'], 'ok')
      const refused = await subscribe('many/x', 'many/y')
      assert.equal((refused['problem'] as { code: string }).code, 'TOO_MANY_REQUESTS')
      // All or none; and what is there already does not count again.
      assert.equal((await subscribe('many/z', ...filters))['op'], 'ok')
      assert.equal((await subscribe('many/x'))['op'], 'error')
      await socket.ask({ op: 'unsubscribe', filters: ['many/0'] })
      assert.equal((await subscribe('many/x'))['op'], 'ok')
      await publish(broker, 'many/y', 'unheard')
      await publish(broker, 'many/z', 'heard')
      await socket.waitEvents(1)
      assert.deepEqual(socket.data, ['heard'])
    })

    test('a subprotocol that only carries a token is refused with 400', async () => {
      const bearer = `bearer.${Buffer.from(TOKENS.reader).toString('base64url')}`
      await assert.rejects(TestSocket.open(url, { protocols: [bearer] }), /400/)
    })

    test('publish, subscribe, replay, unsubscribe and ping answer with the documented fields', async () => {
      using admin = await TestSocket.open(url, { token: broker.adminToken })
      const first = await admin.ask({ op: 'publish', topic: 'ws/a', data: { n: 1 } })
      assert.deepEqual(Object.keys(first), ['op', 'id', 'eventId', 'position', 'duplicate'])
      const event = '{"specversion":"1.0","type":"t","id":"e-1","data":12345678901234567890}'
      admin.send(`{"op":"publish","id":"raw","topic":"ws/a","event":${event}}`)
      await admin.wait(({ id }) => id === 'raw')

      using socket = await TestSocket.open(url, { token: broker.adminToken })
      const reply = await socket.ask({ op: 'subscribe', filters: ['ws/**'], since: 'earliest' })
      assert.deepEqual(Object.keys(reply), ['op', 'id', 'position', 'recovered'])
      assert.equal(reply['recovered'], true)
      await socket.wait(({ op }) => op === 'position')
      const order = socket.messages.map((message) => message['op'] ?? message['type'])
      assert.deepEqual(order, ['welcome', 'ok', 'message', 't', 'position'])
      await admin.ask({ op: 'publish', topic: 'ws/b', data: 'live' })
      await socket.waitEvents(3)
      assert.equal(socket.events[2]?.['data'], 'live')
      const ping = await socket.ask({ op: 'ping' })
      assert.equal(ping['position'], socket.events[2]?.['position'])
      assert.deepEqual(await socket.ask({ op: 'unsubscribe', filters: ['ws/**'] }), {
        op: 'ok',
        id: 3,
      })
      await admin.ask({ op: 'publish', topic: 'ws/b', data: 'unheard' })
      await socket.ask({ op: 'ping' })
      assert.equal(socket.events.length, 3)
    })

    test('bad commands are answered by their id and do not end the session', async () => {
      using socket = await TestSocket.open(url, { token: TOKENS.jenkins })
      const codes: unknown[] = []
      for (const command of [
        { op: 'fly' },
        { op: 'subscribe' },
        { op: 'subscribe', filters: ['a//b'] },
        { op: 'subscribe', filters: ['ci/jenkins/**'] },
        { op: 'subscribe', filter: 'x', since: 'yesterday' },
        { op: 'publish', topic: 'ci/jenkins/x' },
        { op: 'publish', topic: 'ci/other/x', data: 1 },
        { op: 'publish', topic: 'files/x', data: 1 },
        { op: 'publish', topic: 'ci/jenkins/x', event: [] },
      ]) {
        const reply = await socket.ask(command)
        assert.equal(reply['op'], 'error')
        codes.push((reply['problem'] as { code: string }).code)
      }
      assert.deepEqual(codes, [
        'COMMAND_INVALID',
        'COMMAND_INVALID',
        'FILTER_INVALID',
        'FORBIDDEN',
        'POSITION_INVALID',
        'COMMAND_INVALID',
        'FORBIDDEN',
        'TOPIC_RESERVED',
        'EVENT_INVALID',
      ])
    })

    test('thousands of commands at once are all answered', async () => {
      using socket = await TestSocket.open(url, { token: broker.adminToken })
      const ids = Array.from({ length: 5000 }, (_, i) => i)
      for (const id of ids) socket.send({ op: 'publish', id, topic: 'ws/many', data: id })
      await socket.wait(() => socket.messages.filter(({ op }) => op === 'ok').length === 5000)
      const answered = socket.messages.flatMap(({ op, id }) => (op === 'ok' ? [Number(id)] : []))
      assert.deepEqual(
        answered.toSorted((a, b) => a - b),
        ids,
      )
    })

    for (const [name, message] of [
      ['no JSON', '{'],
      ['no id', '{"op":"ping"}'],
      ['an event', '{"specversion":"1.0"}'],
      ['an array', '[]'],
      ['bytes', Buffer.from([1, 2, 3])],
    ] as const) {
      test(`a message that is ${name} ends the session with 4400`, async () => {
        using socket = await TestSocket.open(url, { token: TOKENS.reader })
        socket.socket.send(message)
        assert.equal((await socket.closed).code, 4400)
      })
    }

    test('a message over the limit ends the session with 1009', async () => {
      using socket = await TestSocket.open(url, { token: TOKENS.reader })
      socket.socket.send(`{"op":"ping","id":1,"x":"${'x'.repeat(2 * 1024 * 1024)}"}`)
      assert.equal((await socket.closed).code, 1009)
    })

    test('a wrong token is told and ends the session with 4401, another user with 4403', async () => {
      using wrong = await TestSocket.open(url)
      const reply = await wrong.ask({ op: 'auth', token: 'dbk_wrong' })
      assert.equal((reply['problem'] as { code: string }).code, 'CREDENTIAL_INVALID')
      assert.equal((await wrong.closed).code, 4401)
      using other = await TestSocket.open(url, { token: TOKENS.reader })
      await other.ask({ op: 'auth', token: TOKENS.dashboard })
      assert.equal((await other.closed).code, 4403)
      await assert.rejects(TestSocket.open(url, { token: 'dbk_wrong' }), /401/)
    })

    test('whoever authenticates and may then receive nothing any more is answered first', async () => {
      const open = USERS_XML.replace(
        '<role name="public"/>',
        '<role name="public"><allow actions="subscribe" topics="pub/**"/></role>',
      )
      await using other = await startGateway({ workers }, open)
      using socket = await TestSocket.open(`${other.wsUrl}/ws`)
      await socket.ask({ op: 'subscribe', filter: 'pub/**' })
      const reply = await socket.ask({ op: 'auth', token: TOKENS.dashboard })
      assert.equal(reply['user'], 'dashboard')
      assert.equal((await socket.closed).code, 4403)
    })

    test('a dashboard hears only what its grants cover', async () => {
      using dashboard = await TestSocket.open(url, { token: TOKENS.dashboard })
      await dashboard.ask({ op: 'subscribe', filters: ['**'] })
      using jenkins = await TestSocket.open(url, { token: TOKENS.jenkins })
      await publish(broker, 'secret/x', 1)
      await jenkins.ask({ op: 'publish', topic: 'ci/jenkins/x', data: 'heard' })
      await dashboard.waitEvents(1)
      assert.deepEqual(dashboard.data, ['heard'])
      assert.equal(dashboard.events[0]?.['authid'], 'jenkins')
    })

    test('a plain WebSocket gets events and nothing else, from its position on', async () => {
      const sent = await publish(broker, 'plain/a', 1)
      const { position } = (await sent.json()) as { position: string }
      await publish(broker, 'plain/a', 2)
      using socket = await TestSocket.open(`${broker.wsUrl}/events/plain/**?since=${position}`, {
        token: broker.adminToken,
        protocols: ['cloudevents.json'],
      })
      assert.equal(socket.socket.protocol, 'cloudevents.json')
      await publish(broker, 'plain/a', 3)
      await socket.waitEvents(2)
      assert.deepEqual(
        socket.messages.map(({ data }) => data),
        [2, 3],
      )
      socket.send('hello')
      assert.equal((await socket.closed).code, 4400)
    })

    test('a plain WebSocket is refused before the upgrade, with a problem', async () => {
      const open = (path: string, token: string) => TestSocket.open(broker.wsUrl + path, { token })
      await assert.rejects(open('/events/secret/**', TOKENS.dashboard), /403/)
      await assert.rejects(open('/events/a//b', TOKENS.reader), /400/)
      await assert.rejects(open('/events/a?since=x', TOKENS.reader), /400/)
      await assert.rejects(open('/livez', TOKENS.reader), /426/)
      await assert.rejects(open('/nowhere', TOKENS.reader), /404/)
    })

    test('a removed user is cut off at once and others are not', async () => {
      await using own = await startGateway({ workers })
      using reader = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.reader })
      using dashboard = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.dashboard })
      await dashboard.ask({ op: 'subscribe', filter: 'ci/**' })
      const without = USERS_XML.replace(/ *<user name="reader".*\n/, '')
      await writeFile(join(own.directory, 'config/broker_users.xml'), without)
      await own.gateway.reload()
      const closed = { code: 4401, reason: 'the credential was removed' }
      assert.deepEqual(await reader.closed, closed)
      await publish(own, 'ci/x', 'on')
      await dashboard.waitEvents(1)
    })

    test('a broker that drains tells when to come back and closes with 1012', async () => {
      const own = await startGateway({ workers })
      using socket = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.reader })
      await socket.wait(({ op }) => op === 'welcome')
      await own.gateway.drain(10)
      const closing = await socket.wait(({ op }) => op === 'closing')
      assert.equal(closing['reason'], 'restart')
      assert.equal(typeof closing['retryAfterMs'], 'number')
      assert.equal((await socket.closed).code, 1012)
      await own[Symbol.asyncDispose]()
    })

    test('a broker that drains spreads the closes, and tells each client another time', async (t) => {
      await using own = await startGateway({ workers })
      using stopping = new DisposableStack()
      const sockets: TestSocket[] = []
      for (let n = 0; n < 20; n += 1) {
        const socket = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.reader })
        sockets.push(stopping.use(socket))
        await socket.wait(({ op }) => op === 'welcome')
      }
      t.mock.timers.enable({ apis: ['setTimeout'] })
      stopping.defer(() => t.mock.timers.reset())
      const drained = own.gateway.drain(1000)
      t.mock.timers.tick(1)
      const [first, ...others] = sockets
      assert.equal((await first?.closed)?.code, 1012)
      t.mock.timers.tick(498)
      const half = others.splice(0, 9)
      for (const { closed } of half) assert.equal((await closed).code, 1012)
      for (const socket of others) {
        assert.equal((await socket.ask({ op: 'ping' }))['op'], 'ok')
        assert.ok(socket.messages.every(({ op }) => op !== 'closing'))
      }
      t.mock.timers.tick(501)
      // What is left of the drain needs real ones.
      t.mock.timers.reset()
      for (const { closed } of others) assert.equal((await closed).code, 1012)
      const closings = await Promise.all(
        sockets.map((socket) => socket.wait(({ op }) => op === 'closing')),
      )
      const waits = closings.map(({ retryAfterMs }) => Number(retryAfterMs))
      assert.ok(waits.every((ms) => ms >= 500 && ms <= 2500))
      assert.ok(new Set(waits).size > sockets.length / 2, waits.join())
      await drained
    })

    test('a client is warned before its token expires and stays by renewing it', async () => {
      const second = 'dbk_second-for-tests-000000000000000000000'
      const usersWith = (expiresMs: number) =>
        USERS_XML.replace(
          '<token id="reader-1"',
          `<token id="reader-2" sha256="${sha256(second)}"/>` +
            `<token id="reader-1" expires="${new Date(expiresMs).toISOString()}"`,
        )
      await using own = await startGateway({ workers }, usersWith(Date.now() + 50_000))
      using renewing = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.reader })
      using staying = await TestSocket.open(`${own.wsUrl}/ws`, { token: TOKENS.reader })
      using plain = await TestSocket.open(`${own.wsUrl}/events/ci/**`, { token: TOKENS.reader })
      const warning = await renewing.wait(({ op }) => op === 'expiring')
      assert.ok(Number(warning['inMs']) <= 60_000)
      const renewed = await renewing.ask({ op: 'auth', token: second })
      assert.deepEqual([renewed['user'], renewed['expires']], ['reader', null])
      // Sooner than it was said, so that nobody waits for it.
      await writeFile(join(own.directory, 'config/broker_users.xml'), usersWith(Date.now() + 1000))
      await own.gateway.reload()
      const closed = { code: 4401, reason: 'the credential has expired' }
      assert.deepEqual(await staying.closed, closed)
      assert.deepEqual(await plain.closed, closed)
      assert.equal((await renewing.ask({ op: 'ping' }))['op'], 'ok')
    })
  })
}
