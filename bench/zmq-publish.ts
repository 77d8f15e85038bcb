import type { Acknowledged, Dealers } from './load/dealers.ts'
import { payloadOf } from './load/payload.ts'
import { CalledProcess } from './load/process-calls.ts'
import {
  formatDecimal,
  type Group,
  groupedTable,
  median,
  ratio,
  spread,
} from './measure/columns.ts'
import { type Contender, interleave, type Run } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import { busiestCores } from './measure/load-report.ts'
import { processorSeconds } from './measure/processor-time.ts'
import type { Section } from './measure/report.ts'
import { headOf, PRODUCER_TOKEN, startBroker } from './servers/broker.ts'
import type { RouterApp } from './servers/router-app.ts'

const PAYLOAD_BYTES = 128
const PROCESSES = 2
const CONNECTIONS = 4

const SIZES = [
  { window: 256, messages: 160_000 },
  { window: 16, messages: 80_000 },
] as const

const FRAMES = [
  'PUBLISH',
  PRODUCER_TOKEN,
  'bench/publish',
  payloadOf({ publisher: 0, number: 0 }, PAYLOAD_BYTES),
]

interface Server {
  readonly pid: number
  readonly port: number
  /** Events that it has taken up to now, where it can tell. */
  taken(): Promise<number | undefined>
}

interface Size {
  readonly window: number
  /** Of all connections together. */
  readonly messages: number
}

export const zmqPublish: Line = {
  name: 'zmq-publish',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const dealers = Array.from({ length: PROCESSES }, () =>
      cleanup.use(CalledProcess.start<Dealers>(new URL('./load/dealers.ts', import.meta.url))),
    )
    const brokerServer: Server = {
      pid: broker.process.pid,
      port: broker.zmqSessionPort,
      taken: () => headOf(broker),
    }
    // Warms both up, and tells what the broker answers.
    const warmUp = { window: 256, messages: 20_000 }
    const [first] = await publish(dealers, brokerServer.port, warmUp)
    const app = cleanup.use(
      CalledProcess.start<RouterApp>(new URL('./servers/router-app.ts', import.meta.url)),
    )
    const appPort = await app.call('listen', { reply: first?.reply ?? '' })
    const appServer: Server = { pid: app.pid, port: appPort, taken: async () => undefined }
    await publish(dealers, appPort, warmUp)

    const results: Group[] = []
    for (const { window, messages } of SIZES) {
      const size = { window, messages: isQuick ? messages / 4 : messages }
      const contenders: readonly Contender[] = [
        { name: 'broker', run: () => measure(dealers, brokerServer, size) },
        { name: 'bare ROUTER', run: () => measure(dealers, appServer, size) },
      ]
      tell(`window ${window}`)
      results.push([window, await interleave(contenders, isQuick ? 2 : 5, tell)])
    }
    return section(results)
  },
}

async function measure(
  dealers: readonly CalledProcess<Dealers>[],
  server: Server,
  size: Size,
): Promise<Run> {
  const [before, busyBefore] = [await server.taken(), processorSeconds(server.pid)]
  const reports = await publish(dealers, server.port, size)
  const busySeconds = processorSeconds(server.pid) - busyBefore
  const after = await server.taken()
  const startedMs = Math.min(...reports.map((report) => report.startedMs))
  const seconds = (Math.max(...reports.map(({ endedMs }) => endedMs)) - startedMs) / 1000
  const events = reports.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  const taken = before === undefined || after === undefined ? events : after - before
  return {
    figures: { 'events/s': events / seconds, 'server cores': busySeconds / seconds },
    generatorCores: busiestCores(reports, seconds),
    fault:
      taken === events
        ? reports.find(({ fault }) => fault !== undefined)?.fault
        : `${taken} events in the log for ${events} acknowledged`,
  }
}

function publish(
  dealers: readonly CalledProcess<Dealers>[],
  port: number,
  { window, messages }: Size,
): Promise<readonly Acknowledged[]> {
  const options = {
    ...{ host: '127.0.0.1', port, frames: FRAMES, window },
    connections: CONNECTIONS / PROCESSES,
    messages: messages / CONNECTIONS,
  }
  return Promise.all(dealers.map((each) => each.call('publish', options)))
}

function section(results: readonly Group[]): Section {
  return {
    title: 'Publishing over ZeroMQ',
    notes: [
      `PUBLISH of events with ${PAYLOAD_BYTES} bytes of data from ${CONNECTIONS} DEALER sockets, each with so many commands ` +
        'unanswered at a time. The broker reads, authorises by token, stamps and commits each to its log before it ' +
        'answers; nobody is subscribed. The bare one is a Node program with a ROUTER of zeromq.js that answers ' +
        'everything with the same bytes as the broker.',
      `The DEALER sockets speak ZMTP over plain TCP, in ${PROCESSES} processes, since sockets of libzmq in them would be what ` +
        'is measured. Checked: that each command is answered with OK, and that the log of the broker grew by ' +
        'what was acknowledged.',
    ],
    tried: [
      'Processor time of one command with a window of 256, in turns with the bare one on a busy machine. While each ' +
        'event was an append of its own and its frames waited for the commit: main thread 25 to 28 us, threads that ' +
        'collect garbage 10 to 13 us, 0.22 of the bare one. Since what is read in one turn is one append: 17 to 20 us ' +
        'and 4 to 6 us, 0.39.',
      'The bare one is the handler that does nothing: 7.6 to 9.9 us of its main thread go to receive and send of ' +
        'zeromq.js (five frames in, three out, two promises), and the broker needs the same. Half of its figure would leave ' +
        'the broker as much again for everything else; reading, judging, composing, committing and answering ' +
        'need 6.3 us without a socket in the same process, the rest is garbage and cold caches.',
      'With a window of 16 there are 64 commands under way, which wait together for one commit and two changes of ' +
        'thread: the main thread needs 24 us a command for the smaller groups, and is idle in between.',
      'Without gain: replies as Buffer and not as string (8.9 for 6.5 us of the bare one), other loops around receive and ' +
        'send (6.5 to 6.9 us), a turn of the loop after 64 or 128 commands, 1,000 replies held for a peer and not 128. ' +
        'The thread of libzmq needs 4 us: a second one would not help.',
    ],
    tables: [
      groupedTable('window', results, [
        spread('events/s'),
        median('server cores', formatDecimal),
        ratio('events/s'),
      ]),
    ],
  }
}
