import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AuditLine, auditDirectory, auditLines } from '../../src/gateway/audit/audit-files.ts'
import { BrokerProcess } from '../support/broker-process.ts'
import { answerOf } from '../support/front.ts'
import { sha256, TOKENS, USERS_XML } from '../support/gateway.ts'
import { TestSocket } from '../support/test-socket.ts'

/** What an operator tells the process by a signal, while clients are at work. */

const CONTENT = Buffer.alloc(300_000, 'content ')

/** An upload of which the broker took the first half. */
async function beginPut({ port }: BrokerProcess, token: string) {
  const sent = request({
    ...{ port, host: '127.0.0.1', method: 'PUT', path: '/files/half', agent: false },
    headers: {
      authorization: `Bearer ${token}`,
      'content-length': CONTENT.length,
      expect: '100-continue',
    },
  })
  const answer = answerOf(sent)
  sent.flushHeaders()
  await once(sent, 'continue')
  sent.write(CONTENT.subarray(0, 200_000))
  return { answer, finish: () => sent.end(CONTENT.subarray(200_000)) }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

test('SIGTERM lets an upload end, tells who listens, and lets nobody in', async () => {
  await using broker = await BrokerProcess.start()
  const token = await broker.adminToken()
  const headers = { authorization: `Bearer ${token}` }
  using session = await TestSocket.open(`${broker.url.replace('http', 'ws')}/ws`, { token })
  const lines = await fetch(`${broker.url}/events/**`, {
    headers: { ...headers, accept: 'application/x-ndjson' },
  })
  const put = await beginPut(broker, token)

  const ended = broker.kill('SIGTERM')
  assert.equal((await session.wait(({ op }) => op === 'closing'))['reason'], 'restart')
  assert.equal((await session.closed).code, 1012)
  // Ended as a response ends, not cut off.
  assert.equal(await lines.text(), '')
  while (await accepts(broker.port));

  put.finish()
  const { status, body } = await put.answer
  assert.equal(status, 201, body)
  assert.equal(JSON.parse(body).sha256, sha256(CONTENT.toString()))
  assert.equal(await ended, 0)

  await broker.restart()
  const stored = await fetch(`${broker.url}/files/half`, { headers })
  assert.deepEqual(Buffer.from(await stored.arrayBuffer()), CONTENT)
})

test('a request that meets the end of the broker on an open connection is told so', async () => {
  await using broker = await BrokerProcess.start()
  const token = await broker.adminToken()
  const socket = connect(broker.port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    socket.emit('text')
  })
  const until = async (isEnough: () => boolean) => {
    while (!isEnough()) await once(socket, 'text')
  }
  const head = `Host: x\r\nAuthorization: Bearer ${token}\r\n`
  socket.write(
    `PUT /files/half HTTP/1.1\r\n${head}Content-Length: 10\r\nExpect: 100-continue\r\n\r\n`,
  )
  await until(() => text.startsWith('HTTP/1.1 100 '))
  const ended = broker.kill('SIGTERM')
  while (await accepts(broker.port));
  // The next request is there when the first one ends.
  socket.write(`0123456789GET /livez HTTP/1.1\r\n${head}\r\n`)
  await once(socket, 'close')
  const [, first = '', second = ''] = text.split(/(?=HTTP\/1\.1 )/)
  assert.match(first, /^HTTP\/1\.1 201 /)
  assert.match(second, /^HTTP\/1\.1 503 /)
  assert.match(second, /^content-type: application\/problem\+json/im)
  assert.match(second, /^retry-after: \d+/im)
  assert.match(second, /"code":"UNAVAILABLE"/)
  assert.equal(await ended, 0)
})

const PROMOTED = USERS_XML.replace(/ {2}<user name="dashboard".*\n/, '').replace(
  'name="reader" roles="reader"',
  'name="reader" roles="administrator"',
)

async function untilLogged(broker: BrokerProcess, text: string, from: number): Promise<void> {
  while (!broker.log.slice(from).includes(text)) await broker.logged()
}

/** Waits for the line of an action, which is written behind it. */
async function audited(broker: BrokerProcess, action: string): Promise<AuditLine> {
  const directory = auditDirectory(join(broker.directory, 'data'))
  for (;;) {
    for await (const line of auditLines(directory, 0)) if (line['action'] === action) return line
  }
}

test('SIGHUP puts the users file in force at once, and nothing of a bad one', async () => {
  // Nothing is told of an edit on disk before it has settled: what is in force sooner is so by the signal.
  await using broker = await BrokerProcess.start('--settle=60s')
  const put = async () => {
    const headers = { authorization: `Bearer ${TOKENS.reader}` }
    const init = { method: 'PUT', headers, body: 'x' }
    return (await fetch(`${broker.url}/files/reader`, init)).status
  }
  const token = TOKENS.dashboard
  using session = await TestSocket.open(`${broker.url.replace('http', 'ws')}/ws`, { token })
  await session.ask({ op: 'subscribe', filter: 'ci/**' })
  const users = join(broker.directory, 'config/broker_users.xml')
  const start = broker.log.length

  await writeFile(users, PROMOTED)
  assert.equal(await put(), 403)
  process.kill(broker.pid, 'SIGHUP')
  await untilLogged(broker, '"event":"auth.users.accepted"', start)
  assert.equal(await put(), 201)
  assert.equal((await session.closed).code, 4401)
  await audited(broker, 'broker.reload')
  const replaced = await audited(broker, 'users.replace')
  assert.equal(replaced['outcome'], 'done')
  assert.match(JSON.stringify(replaced), /"origin":"reload"/)
  assert.match(JSON.stringify(replaced), /dashboard/)

  await writeFile(users, '<broker-users version="1">')
  process.kill(broker.pid, 'SIGHUP')
  await untilLogged(broker, '"event":"auth.users.refused"', start)
  assert.equal(await put(), 200)
})
