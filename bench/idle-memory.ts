import { setTimeout as delay } from 'node:timers/promises'
import { FanOutLoad } from './load/fan-out-load.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { SubscriberOptions } from './load/subscribers.ts'
import { contenderTable, formatDecimal, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { residentBytes } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER, startBroker } from './servers/broker.ts'
import type { App } from './servers/ws-app.ts'

const CONNECTIONS = 10_000

/** What is left of the handshakes is collected meanwhile. */
const SETTLE_MS = 3000

export const idleMemory: Line = {
  name: 'idle-memory',
  needs: [],
  async run({ isQuick, tell }) {
    await using load = new FanOutLoad()
    const count = isQuick ? CONNECTIONS / 5 : CONNECTIONS
    const contenders: readonly Contender[] = [
      { name: 'broker, authorised by token, one filter', run: () => measureBroker(load, count) },
      { name: 'bare ws', run: () => measureApp(load, count) },
    ]
    return section(await interleave(contenders, isQuick ? 1 : 3, tell))
  },
}

/** Memory that was once used is kept: each run has a server of its own. */
async function measureBroker(load: FanOutLoad, count: number): Promise<Run> {
  const { host, port, process } = await startBroker()
  await using _ = process
  return await measure(load, process.pid, count, {
    protocol: 'websocket',
    ...{ host, port, path: '/events/bench/**', headers: CONSUMER, greetings: [] },
  })
}

async function measureApp(load: FanOutLoad, count: number): Promise<Run> {
  await using app = CalledProcess.start<App>(new URL('./servers/ws-app.ts', import.meta.url))
  const port = await app.call('listen', undefined)
  return await measure(load, app.pid, count, {
    protocol: 'websocket',
    ...{ host: '127.0.0.1', port, path: '/', headers: {}, greetings: [] },
  })
}

async function measure(
  load: FanOutLoad,
  pid: number,
  count: number,
  subscriber: SubscriberOptions,
): Promise<Run> {
  await delay(SETTLE_MS)
  const before = residentBytes(pid)
  await load.open([subscriber], count)
  await delay(SETTLE_MS)
  const open = await load.countOpen()
  const after = residentBytes(pid)
  await load.close()
  return {
    figures: { 'KB each': (after - before) / count / 1000, 'MB before': before / 1e6 },
    generatorCores: 0,
    fault: open === count ? undefined : `${open} of ${count} connections are open`,
  }
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Memory of an idle WebSocket',
    notes: [
      `Resident memory that ${CONNECTIONS} open WebSockets add to a process, ${SETTLE_MS / 1000} seconds after the last was opened, ` +
        'divided among them. Buffers of the kernel are not in it.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('KB each', formatDecimal),
        spread('MB before', formatDecimal, 'MB without any'),
        ratio('KB each'),
      ]),
    ],
  }
}
