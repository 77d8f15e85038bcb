import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { FaultProxy } from '../support/fault-proxy.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { HeldLog } from '../support/held-log.ts'
import { CLOSE, frame, PING, PONG, RawWebSocket } from '../support/raw-websocket.ts'
import { DOORS } from './recovery-doors.ts'
import { ResumingClient } from './resuming-client.ts'

const SECOND = 1000

/** Commands of one connection with which it is read no further. */
const IN_WORK = 1024

/** The clock of a broker in this process, and its look at every connection once a second. */
class Clock implements Disposable {
  readonly #timers: TestContext['mock']['timers']
  #aheadMs = 0

  /** To be made before the broker is. */
  constructor({ mock }: TestContext) {
    const now = performance.now.bind(performance)
    mock.method(performance, 'now', () => now() + this.#aheadMs)
    mock.timers.enable({ apis: ['setInterval'] })
    this.#timers = mock.timers
  }

  /** Puts the clock forward and has the broker look. */
  pass(ms: number): void {
    this.#aheadMs += ms
    this.#timers.tick(SECOND)
  }

  /** A broker that closes needs its timers. */
  [Symbol.dispose](): void {
    this.#timers.reset()
  }
}

async function metric(broker: TestGateway, name: string): Promise<number> {
  const text = await (await broker.request('/metrics', { as: 'admin' })).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

async function publish(broker: TestGateway, lines: readonly unknown[]): Promise<void> {
  const body = lines.map((line) => JSON.stringify(line)).join('\n')
  const headers = { 'content-type': 'application/x-ndjson' }
  const init = { method: 'POST', body, headers, as: 'admin' } as const
  assert.equal((await broker.request('/events/quiet', init)).status, 201)
}

describe('a WebSocket is pinged', () => {
  for (const path of ['/ws', '/events/quiet']) {
    test(`on ${path}, and ended when it does not answer before the next ping`, async (t) => {
      const ticking = new Clock(t)
      await using broker = await startGateway()
      using clock = ticking
      const open = () => RawWebSocket.open(broker.wsUrl + path, broker.adminToken)
      using silent = await open()
      using alive = await open()
      const pings = ({ frames }: RawWebSocket) =>
        frames.filter(({ opcode }) => opcode === PING).length
      /** Resolves when the broker has read all that `alive` sent. */
      const isRead = () => {
        const before = alive.frames.length
        alive.send(frame(PING, 'read?'))
        return alive.wait(({ frames }) =>
          frames.slice(before).find(({ opcode }) => opcode === PONG),
        )
      }
      // Time goes on by itself too.
      clock.pass(15 * SECOND)
      await isRead()
      assert.equal(pings(alive), 0)
      clock.pass(11 * SECOND)
      for (const each of [silent, alive]) await each.frame(PING)
      alive.send(frame(PONG))
      await isRead()
      clock.pass(15 * SECOND)
      await isRead()
      assert.deepEqual([pings(alive), silent.hasEnded], [1, false])
      clock.pass(11 * SECOND)
      await silent.ended()
      // There is nobody to take a close frame.
      assert.ok(silent.frames.every(({ opcode }) => opcode !== CLOSE))
      await isRead()
      assert.equal(pings(alive), 2)
      assert.equal(await metric(broker, 'databroker_connections'), 1)
    })
  }
})

test('a WebSocket whose pongs are not read, since its commands wait for the log, is not silent', async (t) => {
  const ticking = new Clock(t)
  await using broker = await startGateway({ events: 'memory:' })
  using clock = ticking
  const isBusy = Promise.withResolvers<void>()
  let appends = 0
  using log = new HeldLog(t, () => {
    appends += 1
    if (appends === IN_WORK) isBusy.resolve()
  })
  using socket = await RawWebSocket.open(`${broker.wsUrl}/ws`, broker.adminToken)
  for (let id = 1; id <= IN_WORK; id += 1) {
    socket.command({ op: 'publish', id, topic: 'quiet', data: id })
  }
  await isBusy.promise
  for (let pings = 1; pings <= 3; pings += 1) {
    clock.pass(26 * SECOND)
    await socket.wait(({ frames }) => frames.filter(({ opcode }) => opcode === PING)[pings - 1])
  }
  log.release()
  await socket.wait(
    ({ messages }) => messages.filter(({ op }) => op === 'ok').length === IN_WORK || undefined,
  )
})

/** Together more than the kernel holds for a connection that is not read. */
const FLOOD = Array.from({ length: 16 }, () => 'x'.repeat(1_000_000))

describe('a half-open connection with something to send is ended after 30 seconds', () => {
  for (const [door, open] of Object.entries(DOORS)) {
    // A page is sent whole or waits for nothing.
    if (door === 'long polls') continue
    test(`on the door of ${door}, and one that is read stays`, async (t) => {
      const ticking = new Clock(t)
      await using broker = await startGateway()
      using clock = ticking
      const port = Number(new URL(broker.url).port)
      const fault = { fault: 'half-open', afterBytes: 5000, latencyMs: 0 } as const
      await using proxy = await FaultProxy.start(port, () => fault)
      const address = { port, token: broker.adminToken, filter: 'quiet' }
      const reader = new ResumingClient(address, open)
      const reading = reader.run()
      using stopping = new DisposableStack()
      stopping.defer(() => reader.stop())
      const dead = open({ ...address, port: proxy.port }, 'earliest', () => {})
      await publish(broker, FLOOD)
      await Promise.all([reader.until(FLOOD.length), dead.closed])
      const slow = () => metric(broker, 'databroker_slow_consumers_ended_total')
      const connections = () => metric(broker, 'databroker_connections')
      clock.pass(0)
      clock.pass(29 * SECOND)
      assert.deepEqual([await slow(), await connections()], [0, 2])
      clock.pass(2 * SECOND)
      assert.equal(await slow(), 1)
      while ((await connections()) > 1);
      await publish(broker, ['more'])
      await reader.until(FLOOD.length + 1)
      assert.equal(reader.connections, 1)
      stopping.dispose()
      await reading
    })
  }
})
