import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dealer } from '../events/zmq-clients.ts'
import { startGateway } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'
import { TestSocket } from '../support/test-socket.ts'

interface Problem {
  readonly type: string
}

for (const publicUrl of [undefined, 'https://example.org/broker']) {
  test(`a problem has the same type on every door, with ${publicUrl ?? 'no'} public URL`, async () => {
    const zmqSession = `tcp://127.0.0.1:${await freePort()}`
    await using broker = await startGateway({ zmqSession, ...(publicUrl && { publicUrl }) })
    const http = (await (await broker.request('/events/a%zz')).json()) as Problem
    using socket = await TestSocket.open(`${broker.wsUrl}/ws`)
    const reply = await socket.ask({ op: 'nothing' })
    using peer = dealer(zmqSession)
    const { body } = await peer.ask('NOTHING')
    const base = `${publicUrl ?? broker.url}/problems/`
    assert.equal(http.type, `${base}TARGET_INVALID`)
    assert.equal((reply['problem'] as Problem).type, `${base}COMMAND_INVALID`)
    assert.equal(body['type'], `${base}COMMAND_INVALID`)
  })
}
