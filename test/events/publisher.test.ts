import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway.ts'
import { HeldLog } from '../support/held-log.ts'
import { TestSocket } from '../support/test-socket.ts'
import { WakeUp } from '../support/wake-up.ts'

const MIB = 1024 * 1024

test('who publishes faster than the log commits is told to wait, and taken again when it has caught up', async (t) => {
  await using broker = await startGateway({ events: 'memory:' })
  using socket = await TestSocket.open(`${broker.wsUrl}/ws`, { token: broker.adminToken })
  const appended = new WakeUp()
  let uncommitted = 0
  using log = new HeldLog(t, (drafts) => {
    for (const { json } of drafts) uncommitted += json.length
    appended.wake()
  })

  const body = Array.from({ length: 7 }, () => JSON.stringify('x'.repeat(MIB - 1024))).join('\n')
  const headers = { 'content-type': 'application/x-ndjson' }
  const post = () => broker.request('/events/fast', { method: 'POST', body, headers, as: 'admin' })
  const taken: Promise<Response>[] = []
  let refused: Response | undefined
  while (refused === undefined) {
    const answer = post()
    const next = appended.next().then(() => undefined)
    refused = await Promise.race([answer, next])
    if (refused === undefined) taken.push(answer)
  }
  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.ok(uncommitted <= 64 * MIB && uncommitted > 56 * MIB, `${uncommitted} bytes`)
  const publish = { op: 'publish', topic: 'fast', data: 'x'.repeat(MIB - 1024) }
  const fits = socket.ask(publish)
  const reply = await socket.ask(publish)
  assert.equal((reply['problem'] as { code: string }).code, 'TOO_MANY_REQUESTS')

  log.release()
  for (const answer of taken) assert.equal((await answer).status, 201)
  assert.equal((await fits)['op'], 'ok')
  assert.equal((await socket.ask(publish))['op'], 'ok')
  assert.equal((await post()).status, 201)
})
