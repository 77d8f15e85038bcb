import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { it } from 'node:test'
import { pino } from 'pino'
import { createHttpApp } from '../../src/gateway/http-app.ts'
import { exchange } from '../support/raw-http.ts'

/** An app whose `/gathered` reads bodies whole, with a deadline that is there at once. */
async function start(bodyTimeoutMs = 20) {
  const logger = pino({ level: 'silent' })
  const options = { publicUrl: undefined, maxEventBytes: 1000, bodyTimeoutMs }
  const app = await createHttpApp({ logger, ...options })
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  const answered: number[] = []
  app.addHook('onResponse', async (_, { statusCode }) => {
    answered.push(statusCode)
  })
  app.post('/gathered', async ({ body }) => ({ size: (body as Buffer).length }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, answered, port: (app.server.address() as AddressInfo).port }
}

for (const [how, head, drop] of [
  ['announced', 'Content-Length: 1000000', 'x'],
  ['chunked', 'Transfer-Encoding: chunked', '1\r\nx\r\n'],
] as const) {
  it(`a body that is ${how} and dribbled for ever ends in 408 and the end of its connection`, async () => {
    const { app, answered, port } = await start()
    let dribble: NodeJS.Timeout | undefined
    try {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(
        `POST /gathered HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n${head}\r\n\r\n`,
      )
      dribble = setInterval(() => socket.write(drop), 1)
      // Not `once`, which fails when a drop meets the closed connection.
      await new Promise((resolve) => socket.once('close', resolve))
      // Asked of the server: a drop that meets the closed connection may cost its client the answer.
      assert.deepEqual(answered, [408])
    } finally {
      clearInterval(dribble)
      await app.close()
    }
  })
}

it('a body that is whole in time is answered', async () => {
  const { app, port } = await start()
  const answer = await fetch(`http://127.0.0.1:${port}/gathered`, { method: 'POST', body: 'four' })
  assert.deepEqual(await answer.json(), { size: 4 })
  await app.close()
})

it('a type without a body is answered as an empty body', async () => {
  const { app, port } = await start()
  const request = 'POST /gathered HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n'
  const answer = await exchange(port, `${request}Connection: close\r\n\r\n`)
  assert.match(answer, /\{"size":0\}\n$/)
  await app.close()
})

it('the deadline of a body that was refused unread keeps no process alive', async () => {
  const { app, port } = await start(600_000)
  const socket = connect(port, '127.0.0.1')
  socket.write('POST /gathered HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n')
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 413 /)
  socket.destroy()
  await app.close()
  assert.ok(!process.getActiveResourcesInfo().includes('Timeout'))
})
