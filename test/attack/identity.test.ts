import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import https from 'node:https'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BrokerBehindNginx, type BrokerProcess } from '../support/broker-process.ts'
import { makeCertificate, OPENSSL_MISSING } from '../support/certificate.ts'
import { answerOf, temporaryDirectory } from '../support/front.ts'
import { sha256, TOKENS, USERS_XML } from '../support/gateway.ts'
import { HealthyClient } from '../support/healthy-client.ts'
import { freePort, NGINX_MISSING } from '../support/nginx.ts'
import { exchange, statusesIn } from '../support/raw-http.ts'
import { TestSocket } from '../support/test-socket.ts'
import { metadataOf, TUS } from '../support/tus.ts'

const TOKEN_OF_ADA = 'dbk_ada-for-tests-0000000000000000000000000'

/** Every place, as seen from outside, that the front passes on in a location of its own, and what it needs. */
const PLACES: readonly (readonly [method: string, path: string, anonymous: number])[] = [
  ['GET', '/metrics', 401],
  ['GET', '/events/**', 401],
  ['GET', '/events', 401],
  ['POST', '/events/ci/jenkins/x', 401],
  ['GET', '/files/builds/x', 401],
  ['PUT', '/files/builds/jenkins/x', 401],
  ['POST', '/files/builds/jenkins/x', 401],
  ['DELETE', '/files/builds/jenkins/x', 401],
  ['POST', '/files/sync', 401],
  ['GET', '/ws', 426],
  ['POST', '/uploads', 401],
  ['HEAD', '/uploads/of-ada', 404],
  ['PATCH', '/uploads/of-ada', 404],
  ['DELETE', '/uploads/of-ada', 404],
  ['POST', '/auth/tickets', 400],
  ['GET', '/auth/upload', 404],
  ['GET', '/-/upload', 404],
  ['GET', '/-/serve/default/serve/x', 404],
  ['GET', '/-/problem/429', 404],
]

describe('an identity that is not one’s own', { skip: NGINX_MISSING || OPENSSL_MISSING }, () => {
  it('is not had by header fields, in any place, directly or through Nginx', async (t) => {
    const keys = await temporaryDirectory()
    try {
      const { cert } = makeCertificate(keys, 'ada')
      await using front = await BrokerBehindNginx.start()
      const { broker } = front
      await putUsersInForce(broker, await certificateElement(cert))
      const upload = await createUpload(broker)
      const pem = encodeURIComponent(await readFile(cert, 'utf8'))
      const ports = [broker.port, Number(new URL(front.url).port)]
      const forged = [
        'X-Client-Verify: SUCCESS',
        `X-Client-Cert: ${pem}`,
        'X-Forwarded-For: 127.0.0.1',
        'X-Forwarded-User: admin',
        'X-Remote-User: admin',
        'Forwarded: for=127.0.0.1;by=unix',
        'X-Original-Method: PUT',
        'X-Original-URI: /files/open',
        'X-Accel-Redirect: /-/serve/default/x',
        'X-Rewrite-URL: /auth/me',
        'X-HTTP-Method-Override: GET',
        'Connection: X-Broker-Proxy, close',
      ]
      const ofUploads = ['Upload-Offset: 0', 'Content-Type: application/offset+octet-stream']
      for (const [name, value] of Object.entries(UPLOAD)) ofUploads.push(`${name}: ${value}`)
      const secrets = ['', 'guessed', 'a-secret-that-only-nginx-know', ' ', 'null']
      await new HealthyClient(ports, TOKENS.jenkins).during(t, async () => {
        for (const port of ports) {
          for (const secret of secrets) {
            for (const [method, path, anonymous] of PLACES) {
              const fields = [...forged, `X-Broker-Proxy: ${secret}`, 'X_Client_Verify: SUCCESS']
              if (path.startsWith('/uploads')) fields.push(...ofUploads)
              const target = path.replace('/uploads/of-ada', upload)
              const answer = await exchange(
                port,
                `${method} ${target} HTTP/1.1\r\nHost: broker\r\n${fields.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`,
              )
              // Directly there is a question for uploads; it is answered by the rights of who asks.
              const isQuestion = port === broker.port && path === '/auth/upload'
              const expected = isQuestion ? 401 : anonymous
              assert.deepEqual(statusesIn(answer), [expected], `${method} ${path} at ${port}`)
            }
            assert.equal(
              await sessionWith(port, [...forged, `X-Broker-Proxy: ${secret}`]),
              'nobody',
            )
          }
        }
      })
    } finally {
      await rm(keys, { recursive: true })
    }
  })

  it('is not guessed: the source is closed, also for a right token, and others are not', async (t) => {
    await using front = await BrokerBehindNginx.start()
    const doors = [front.broker.port, Number(new URL(front.url).port)]
    for (const [at, port] of doors.entries()) {
      const guesser = `127.0.1.${at + 1}`
      const ask = async (token: string, from: string, field = '') =>
        statusesIn(
          await exchange(
            port,
            `GET /auth/me HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer ${token}\r\n${field}Connection: close\r\n\r\n`,
            { from },
          ),
        )[0]
      await new HealthyClient([port], TOKENS.jenkins).during(t, async () => {
        const answers: (number | undefined)[] = []
        for (let n = 0; n < 30; n += 1) {
          // Another address in a header field is another address to nobody.
          answers.push(await ask(`dbk_guess-${n}`, guesser, `X-Forwarded-For: 10.0.0.${n}\r\n`))
        }
        assert.deepEqual([...new Set(answers)], [401, 429])
        assert.equal(answers.indexOf(429), 10)
        assert.equal(await ask(TOKENS.reader, guesser), 429)
        assert.equal(await ask(TOKENS.reader, '127.0.2.1'), 200)
      })
    }
  })

  it('is not had by a client certificate that was taken back', async (t) => {
    const keys = await temporaryDirectory()
    try {
      const ca = makeCertificate(keys, 'ca')
      const server = makeCertificate(keys, 'server', 'ca')
      const ada = makeCertificate(keys, 'ada', 'ca')
      const port = await freePort()
      const flags = ['--https', `127.0.0.1:${port}`, '--client-ca', ca.cert]
      const pair = ['--certificate', server.cert, '--key', server.key]
      await using front = await BrokerBehindNginx.startWith([], [...flags, ...pair])
      const ports = [front.broker.port, Number(new URL(front.url).port)]
      const [caPem, cert, key] = await Promise.all(
        [ca.cert, ada.cert, ada.key].map((path) => readFile(path)),
      )
      // One connection all along: what is revoked is not asked for at its handshake alone.
      const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ...{ ca: caPem, cert, key } })
      const me = async () => {
        const options = { port, agent, path: '/auth/me', servername: 'localhost' }
        return await answerOf(https.request(options).end())
      }
      try {
        await new HealthyClient(ports, TOKENS.jenkins).during(t, async () => {
          assert.equal((await me()).status, 401)
          await putUsersInForce(front.broker, await certificateElement(ada.cert))
          assert.equal(JSON.parse((await me()).body).user, 'ada')
          await putUsersInForce(front.broker, '')
          const answer = await me()
          assert.equal(answer.status, 401)
          assert.equal(JSON.parse(answer.body).code, 'CREDENTIAL_INVALID')
        })
      } finally {
        agent.destroy()
      }
    } finally {
      await rm(keys, { recursive: true })
    }
  })
})

/** What the upload of ada is created with. */
const UPLOAD = {
  ...TUS,
  'upload-length': '5',
  'upload-metadata': metadataOf({ path: 'builds/ada' }),
}

/** @returns where it is */
async function createUpload({ url }: BrokerProcess): Promise<string> {
  const headers = { ...UPLOAD, authorization: `Bearer ${TOKEN_OF_ADA}` }
  const answer = await fetch(`${url}/uploads`, { method: 'POST', headers })
  assert.equal(answer.status, 201)
  return answer.headers.get('location') ?? ''
}

/** Who a session is that is opened with the fields, told by what it may do. */
async function sessionWith(port: number, fields: readonly string[]): Promise<string> {
  const pairs = fields.map((field) => field.split(/: (.*)/s) as [string, string])
  const headers = Object.fromEntries(pairs.filter(([name]) => name !== 'Connection'))
  using socket = await TestSocket.open(`ws://127.0.0.1:${port}/ws`, { headers })
  const { problem } = await socket.ask({ op: 'subscribe', filter: '**' })
  const isNobody = (problem as { code?: string } | undefined)?.code === 'UNAUTHENTICATED'
  return isNobody ? 'nobody' : 'somebody'
}

async function certificateElement(path: string): Promise<string> {
  const { fingerprint256 } = new X509Certificate(await readFile(path))
  const digest = fingerprint256.replaceAll(':', '').toLowerCase()
  const token = `<token id="ada-1" sha256="${sha256(TOKEN_OF_ADA)}"/>`
  return `<user name="ada" roles="administrator">${token}<certificate sha256="${digest}"/></user>`
}

/** Not by asking again and again: who fails too often is throttled. */
async function putUsersInForce(broker: BrokerProcess, more: string): Promise<void> {
  const accepted = () => broker.log.split('"auth.users.accepted"').length
  const before = accepted()
  const text = USERS_XML.replace('<anonymous', `${more}<anonymous`)
  await writeFile(join(broker.directory, 'config/broker_users.xml'), text)
  while (accepted() === before) await broker.logged()
}
