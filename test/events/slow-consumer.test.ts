import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { CLOSE, closing, frame, RawWebSocket } from '../support/raw-websocket.ts'

/** Together far more than the kernel and the broker hold for a connection that is not read. */
const EVENTS = 24
const FILLER = 'x'.repeat(1_000_000)

/** What the log keeps of them. */
const KEPT = 4

async function publish(broker: TestGateway, n: number): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ n, FILLER })
  const init = { method: 'POST', body, headers, as: 'admin' } as const
  assert.equal((await broker.request('/events/slow', init)).status, 201)
}

/** A client of each kind that can be told why it is closed. */
const CLIENTS: Readonly<
  Record<string, (broker: TestGateway, since: string) => Promise<RawWebSocket>>
> = {
  session: async ({ wsUrl, adminToken }, since) => {
    const socket = await RawWebSocket.open(`${wsUrl}/ws`, adminToken)
    socket.command({ op: 'subscribe', id: 1, filters: ['slow'], since })
    await socket.wait(({ messages }) => messages.find(({ id }) => id === 1))
    return socket
  },
  'plain WebSocket': ({ wsUrl, adminToken }, since) =>
    RawWebSocket.open(`${wsUrl}/events/slow?since=${since}`, adminToken),
}

const eventsOf = ({ messages }: RawWebSocket) => messages.filter((each) => 'specversion' in each)

for (const [kind, open] of Object.entries(CLIENTS)) {
  test(`a ${kind} that stops reading is closed with 4508 and comes back`, async () => {
    await using broker = await startGateway({ historyEvents: String(KEPT) })
    using slow = await open(broker, 'earliest')
    await publish(broker, 0)
    await slow.wait((self) => eventsOf(self)[0])
    slow.socket.pause()
    for (let n = 1; n <= EVENTS; n += 1) await publish(broker, n)
    slow.socket.resume()
    assert.equal(await slow.closeCode(), 4508)
    slow.send(frame(CLOSE, closing(4508)))
    await slow.ended()
    const received = eventsOf(slow)
    assert.deepEqual(
      received.map(({ data }) => data.n),
      received.map((_, n) => n),
    )

    using again = await open(broker, received.at(-1).position)
    await again.wait((self) => eventsOf(self)[KEPT])
    const [missed, ...kept] = eventsOf(again)
    assert.equal(missed.type, 'EVENTS MISSED')
    assert.equal(missed.data.since, received.at(-1).position)
    assert.deepEqual(
      kept.map(({ data }) => data.n),
      Array.from({ length: KEPT }, (_, i) => EVENTS - KEPT + 1 + i),
    )
  })
}
