import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Dealer } from 'zeromq'
import { BrokerBehindNginx } from '../support/broker-process.ts'
import { TOKENS } from '../support/gateway.ts'
import { HealthyClient } from '../support/healthy-client.ts'
import { NGINX_MISSING } from '../support/nginx.ts'
import { exchange, statusesIn } from '../support/raw-http.ts'
import { TestSocket } from '../support/test-socket.ts'

const AUTHORIZED = `Authorization: Bearer ${TOKENS.jenkins}\r\n`

/** What must never be taken for a request of its own. */
const SMUGGLED = `POST /events/ci/jenkins/smuggled HTTP/1.1\r\nHost: broker\r\n${AUTHORIZED}Content-Length: 3\r\n\r\n"x"`

const OUTER = `POST /events/ci/jenkins/outer HTTP/1.1\r\nHost: broker\r\n${AUTHORIZED}`

function chunk(text: string, extension = ''): string {
  return `${text.length.toString(16)}${extension}\r\n${text}\r\n`
}

/** Where two readers may disagree about the end of a request, and what becomes of it. */
const SMUGGLING: Readonly<Record<string, { bytes: string; accepts?: boolean }>> = {
  'Content-Length before Transfer-Encoding': {
    bytes: `${OUTER}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'Transfer-Encoding before Content-Length': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${chunk(SMUGGLED)}0\r\n\r\n`,
  },
  'two lengths': {
    bytes: `${OUTER}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  'two lengths in one field': {
    bytes: `${OUTER}Content-Length: 0, ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  'a length with a sign': { bytes: `${OUTER}Content-Length: +0\r\n\r\n${SMUGGLED}` },
  'a negative length': { bytes: `${OUTER}Content-Length: -1\r\n\r\n${SMUGGLED}` },
  'a length in hex': { bytes: `${OUTER}Content-Length: 0x0\r\n\r\n${SMUGGLED}` },
  'a folded field': {
    bytes: `${OUTER}X-Folded: a\r\n Content-Length: 9\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'a space before the colon': {
    bytes: `${OUTER}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'a coding nobody knows': {
    bytes: `${OUTER}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'two codings': {
    bytes: `${OUTER}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'chunked twice': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'a vertical tab before the coding': {
    bytes: `${OUTER}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  'a chunk whose size is none': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\n\r\nzz\r\n${SMUGGLED}`,
  },
  'a chunk of an overflowing size': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n${SMUGGLED}`,
  },
  'a chunk whose size is signed': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\n\r\n-1\r\n${SMUGGLED}`,
  },
  'a NUL in a field': { bytes: `${OUTER}X-Null: a\0b\r\nContent-Length: 0\r\n\r\n` },
  // Legal, and read alike by both: the hidden request is a body and nothing else.
  'chunk extensions': {
    bytes: `${OUTER}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk(SMUGGLED, ';a=b;c="d"')}0\r\n\r\n`,
    accepts: true,
  },
  'a request in a body': {
    bytes: `${OUTER}Content-Length: ${SMUGGLED.length}\r\nConnection: close\r\n\r\n${SMUGGLED}`,
    accepts: true,
  },
}

describe('a hostile request', { skip: NGINX_MISSING }, () => {
  let front: BrokerBehindNginx
  let doors: readonly { readonly name: string; readonly port: number; readonly url: string }[]
  let healthy: HealthyClient
  before(async () => {
    front = await BrokerBehindNginx.start('--origins=https://dash.example')
    doors = [
      { name: 'broker', port: front.broker.port, url: front.broker.url },
      { name: 'nginx', port: Number(new URL(front.url).port), url: front.url },
    ]
    healthy = new HealthyClient(
      doors.map(({ port }) => port),
      TOKENS.jenkins,
    )
  })
  after(() => front[Symbol.asyncDispose]())

  const ask = async (port: number, head: string) =>
    await exchange(port, `${head}\r\nConnection: close\r\n\r\n`, {
      // Nginx reads on for a while, so that its answer is not lost.
      isEnough: (text) => /\}$/.test(text),
    })

  async function topics(): Promise<string[]> {
    const headers = { authorization: `Bearer ${TOKENS.reader}` }
    const answer = await fetch(`${front.broker.url}/events/**?limit=1000`, { headers })
    const { events } = (await answer.json()) as { readonly events: { readonly topic: string }[] }
    return events.map(({ topic }) => topic)
  }

  it('hides no other request, however its end is written', async (t) => {
    await healthy.during(t, async () => {
      for (const { name, port } of doors) {
        for (const [what, { bytes, accepts = false }] of Object.entries(SMUGGLING)) {
          const where = `${what}, at ${name}`
          const answer = await exchange(port, bytes)
          const statuses = statusesIn(answer)
          assert.equal(statuses.length, 1, `${where}: ${answer}`)
          const [status = 0] = statuses
          const expected = accepts ? [201] : [400, 501]
          assert.ok(expected.includes(status), `${where}: ${answer}`)
        }
      }
    })
    assert.ok(!(await topics()).includes('ci/jenkins/smuggled'))
  })

  it('with bare line feeds is refused, or is the one request that it seems', async () => {
    const hidden = SMUGGLED.replaceAll('\r\n', '\n')
    const outer = OUTER.replaceAll('\r\n', '\n')
    const bytes = `${outer}Connection: close\nContent-Length: ${hidden.length}\n\n${hidden}`
    for (const { name, port } of doors) {
      const statuses = statusesIn(await exchange(port, bytes))
      assert.equal(statuses.length, 1, name)
    }
    assert.ok(!(await topics()).includes('ci/jenkins/smuggled'))
  })

  it('is refused for a Host that is none, and believed in no other', async (t) => {
    await healthy.during(t, async () => {
      for (const { name, port } of doors) {
        for (const hosts of ['', 'Host: a b', 'Host: a/b', 'Host: a\r\nHost: b', 'Host: a@b']) {
          const head = `GET /livez HTTP/1.1${hosts === '' ? '' : `\r\n${hosts}`}`
          assert.deepEqual(statusesIn(await ask(port, head)), [400], `${name}: ${hosts}`)
        }
        const answer = await ask(port, 'GET //evil.example/auth/me HTTP/1.1\r\nHost: broker')
        assert.deepEqual(statusesIn(answer), [404], name)
        // The absolute form is for proxies; an origin takes it for the path that it holds (RFC 9112 section 3.2.2).
        const absolute = await ask(port, 'GET http://evil.example/livez HTTP/1.1\r\nHost: broker')
        assert.deepEqual(statusesIn(absolute), [200], name)
      }
    })
  })

  it('that is too large in any part is refused, and only that', async (t) => {
    const long = 'a'.repeat(120_000)
    await healthy.during(t, async () => {
      for (const { name, port } of doors) {
        const [target] = statusesIn(await ask(port, `GET /${long} HTTP/1.1\r\nHost: broker`))
        assert.ok(target === 414 || target === 431, `${name}: ${target}`)
        const field = await ask(port, `GET / HTTP/1.1\r\nHost: broker\r\nX-Long: ${long}`)
        assert.deepEqual(statusesIn(field), [431], name)
        const many = 'X-Many: 1\r\n'.repeat(12_000)
        const fields = await ask(port, `GET / HTTP/1.1\r\nHost: broker\r\n${many}X: 1`)
        assert.ok([400, 431].includes(statusesIn(fields)[0] ?? 0), name)
        for (const path of ['/events/ci/jenkins/x', '/auth/tickets']) {
          const head = `POST ${path} HTTP/1.1\r\nHost: broker\r\n${AUTHORIZED}Content-Type: application/json\r\nContent-Length: 99999999`
          assert.deepEqual(statusesIn(await ask(port, head)), [413], `${name}: ${path}`)
        }
      }
    })
  })

  it('does not become HTTP/2 in the clear', async () => {
    for (const { name, port } of doors) {
      const upgrade =
        'GET /livez HTTP/1.1\r\nHost: broker\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n'
      assert.deepEqual(statusesIn(await exchange(port, upgrade)), [200], name)
      const preface = await exchange(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
      assert.doesNotMatch(preface, /^HTTP\/1\.1 [12]/, name)
    }
  })

  it('of a page of another site is refused without a token of its own', async (t) => {
    const evil = 'https://evil.example'
    const basic = `Basic ${btoa(`jenkins:${TOKENS.jenkins}`)}`
    await healthy.during(t, async () => {
      for (const { url, name } of doors) {
        for (const [method, path] of [
          ['GET', '/auth/me'],
          ['POST', '/events/ci/jenkins/x'],
          ['PUT', '/files/builds/jenkins/x'],
          ['DELETE', '/files/builds/jenkins/x'],
          ['POST', '/auth/tickets'],
        ] as const) {
          const body = ['PUT', 'POST'].includes(method) ? '"x"' : null
          const headers = { origin: evil, authorization: basic }
          const answer = await fetch(url + path, { method, headers, body })
          assert.equal(answer.status, 403, `${name}: ${method} ${path}`)
          assert.equal(((await answer.json()) as { code: string }).code, 'ORIGIN_FORBIDDEN')
        }
        for (const path of ['/ws', '/events/ci/**']) {
          const headers = { origin: evil, authorization: basic }
          const opened = TestSocket.open(url.replace('http', 'ws') + path, { headers })
          await assert.rejects(opened, /refused: 403/, `${name}: ${path}`)
        }
      }
    })
  })

  it('cannot tell an event in the name of the broker, on any transport', async (t) => {
    const token = await front.broker.adminToken()
    const forged = { specversion: '1.0', id: '1', source: '/broker/files', type: 'FILE DELETED' }
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/cloudevents+json',
    }
    await healthy.during(t, async () => {
      for (const { url, name } of doors) {
        const post = async (path: string, event: object) => {
          const body = JSON.stringify(event)
          const answer = await fetch(url + path, { method: 'POST', headers, body })
          assert.equal(answer.status, 403, `${name}: ${path} ${body}`)
        }
        for (const source of ['/broker', '/broker/files', '/broker/x']) {
          await post('/events/ci/x', { ...forged, source })
        }
        for (const topic of ['files/x', 'broker/missed', 'files/config/broker_users.xml']) {
          await post(`/events/${topic}`, { ...forged, source: '/me' })
          await post('/events', { ...forged, source: '/me', topic })
        }
        using socket = await TestSocket.open(`${url.replace('http', 'ws')}/ws`, { token })
        for (const command of [
          { topic: 'files/x', data: 1 },
          { topic: 'broker/missed', data: 1 },
          { topic: 'ci/x', event: forged },
        ]) {
          const { problem } = await socket.ask({ op: 'publish', ...command })
          assert.equal((problem as { code: string }).code, 'TOPIC_RESERVED', name)
        }
      }
      for (const endpoint of [front.broker.zmqSession, front.zmqSession]) {
        const dealer = new Dealer({ linger: 0 })
        dealer.connect(endpoint)
        for (const frames of [
          ['PUBLISH', token, 'files/x', '1'],
          ['PUBLISH', token, 'broker/missed', '1'],
          ['PUBLISH', token, 'ci/x', '1', JSON.stringify({ source: '/broker/files' })],
        ]) {
          await dealer.send(frames)
          const [verb, problem] = await dealer.receive()
          assert.equal(String(verb), 'ERROR')
          assert.equal(JSON.parse(String(problem)).code, 'TOPIC_RESERVED')
        }
        dealer.close()
      }
    })
    // What anybody publishes says itself whose it is.
    const spoofed = {
      ...forged,
      source: '/me',
      authtype: 'system',
      authid: 'root',
      position: 'x:1',
    }
    const answer = await fetch(`${front.url}/events/ci/spoofed`, {
      method: 'POST',
      headers,
      body: JSON.stringify(spoofed),
    })
    assert.equal(answer.status, 201)
    const page = await fetch(`${front.url}/events/ci/spoofed`, {
      headers: { authorization: headers.authorization },
    })
    const { events } = (await page.json()) as { events: Record<string, unknown>[] }
    assert.deepEqual([events[0]?.['authtype'], events[0]?.['authid']], ['user', 'admin'])
  })
})
