import { FanOutLoad } from './load/fan-out-load.ts'
import { toBroker } from './load/fan-out-targets.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { Publisher } from './load/publisher.ts'
import {
  formatDecimal,
  type Group,
  groupedTable,
  median,
  ratio,
  spread,
} from './measure/columns.ts'
import { interleave, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { residentBytes } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { startBroker } from './servers/broker.ts'

const SIZE = { payloadBytes: 16_384, perSecond: 25 }
const SUBSCRIBERS = 1000
const FROZEN = 10
const WORKERS = 2
const SECONDS = 16

const SAMPLE_MS = 50

interface Load {
  readonly publisher: CalledProcess<Publisher>
  readonly subscribers: FanOutLoad
  readonly messages: number
}

export const frozen: Line = {
  name: 'frozen',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const subscribers = cleanup.use(new FanOutLoad())
    const load = { publisher, subscribers, messages: SIZE.perSecond * (isQuick ? 12 : SECONDS) }
    const results: Group[] = []
    for (const [name, flags] of [
      ['one process', []],
      [`--workers ${WORKERS}`, [`--workers=${WORKERS}`]],
    ] as const) {
      tell(name)
      const contenders = [FROZEN, 0].map((count) => ({
        name: `${count} frozen`,
        run: () => measureBroker(flags, load, count),
      }))
      results.push([name, await interleave(contenders, isQuick ? 2 : 5, tell)])
    }
    return section(results)
  },
}

/** Memory that was once used is kept: each run has a broker of its own. */
async function measureBroker(
  flags: readonly string[],
  { publisher, subscribers, messages }: Load,
  count: number,
): Promise<Run> {
  const broker = await startBroker({ flags })
  await using process = broker.process
  const target = toBroker(broker, publisher, SIZE)
  const size = { subscribers: SUBSCRIBERS, withLatency: true }
  await subscribers.run(target, { ...size, messages: SIZE.perSecond })
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes(process.pid))
  }, SAMPLE_MS)
  try {
    const run = await subscribers.run(target, { ...size, messages, frozen: count })
    return { ...run, figures: { ...run.figures, 'MB at most': most / 1e6 } }
  } finally {
    clearInterval(timer)
  }
}

function section(results: readonly Group[]): Section {
  return {
    title: 'Subscribers that do not read',
    notes: [
      `${SIZE.perSecond} events a second with ${SIZE.payloadBytes} bytes of data to ${SUBSCRIBERS} WebSockets, of which ${FROZEN} or none stop ` +
        `reading for the whole of ${SECONDS} seconds. Latency is that of the others, measured as above; memory is what is ` +
        'resident of the broker, with its other processes, at its most. Each run has a broker of its own.',
      `In that time ${Math.round((SIZE.payloadBytes * SIZE.perSecond * SECONDS) / 1e6)} MB are due to each: the kernel takes about 4 (tcp_wmem), the broker holds 1 MiB at most, and the ` +
        'rest waits in its log.',
      'Checked: number and order of the messages of every subscriber; the frozen ones read again at the end, and ' +
        'must be given everything too.',
    ],
    tables: [
      groupedTable('', results, [
        median('p50 ms', formatDecimal),
        spread('p99 ms', formatDecimal),
        median('server cores', formatDecimal),
        spread('MB at most', (value) => value.toFixed(0)),
        ratio('p99 ms', 'p99 frozen : it'),
        ratio('MB at most', 'MB frozen : it'),
      ]),
    ],
  }
}
