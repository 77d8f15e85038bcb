import { FanOutLoad, type FanOutTarget } from './load/fan-out-load.ts'
import { BATCH, toApp, toBroker, toMosquitto } from './load/fan-out-targets.ts'
import { NullServer } from './load/null-target.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { Publisher } from './load/publisher.ts'
import {
  formatDecimal,
  type Group,
  groupedTable,
  median,
  ratio,
  ratioOf,
  spread,
} from './measure/columns.ts'
import { type Contender, interleave } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import type { Section } from './measure/report.ts'
import { startBroker } from './servers/broker.ts'
import { startMosquitto } from './servers/mosquitto.ts'
import type { App } from './servers/ws-app.ts'

const SIZE = { payloadBytes: 128 }

/** A Socket.IO client joins the namespace `/` and is told its id. */
const SOCKET_IO_GREETINGS = [
  { opcode: 1, payload: '', awaited: 'pingInterval' },
  { opcode: 1, payload: '40', awaited: '40{' },
]

const SUBSCRIBERS = [100, 1000] as const
const WORKERS = 2

/** A contender, and deliveries that keep it busy for some seconds: they differ by orders of magnitude. */
interface Peer {
  readonly name: string
  readonly target: FanOutTarget
  readonly deliveries: number
}

export const fanOutPeers: Line = {
  name: 'fan-out-peers',
  needs: ['mosquitto'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const workers = await startBroker({ flags: [`--workers=${WORKERS}`] })
    cleanup.use(workers.process)
    const mosquitto = await startMosquitto()
    cleanup.use(mosquitto.process)
    const startApp = async (file: string) => {
      const app = cleanup.use(CalledProcess.start<App>(new URL(file, import.meta.url)))
      return { pid: app.pid, port: await app.call('listen', undefined) }
    }
    const socketIo = {
      ...(await startApp('./servers/socket-io-app.ts')),
      greetings: SOCKET_IO_GREETINGS,
    }
    const ws = { ...(await startApp('./servers/ws-app.ts')), greetings: [] }
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const load = cleanup.use(new FanOutLoad())
    const nullServer = cleanup.use(await NullServer.start())
    const brokerTarget = toBroker(broker, publisher, SIZE)
    const warmUp = { subscribers: 10, messages: 2000 }
    const { messageBytes } = await load.run(brokerTarget, warmUp)
    const nullTarget = nullServer.toTarget(Math.round(messageBytes))
    const peers: readonly Peer[] = [
      { name: 'broker', target: brokerTarget, deliveries: 6_000_000 },
      {
        name: `broker --workers ${WORKERS}`,
        target: toBroker(workers, publisher, SIZE),
        deliveries: 6_000_000,
      },
      { name: 'Mosquitto', target: toMosquitto(mosquitto, publisher, SIZE), deliveries: 400_000 },
      { name: 'Socket.IO', target: toApp(socketIo, publisher, SIZE), deliveries: 400_000 },
      { name: 'bare ws', target: toApp(ws, publisher, SIZE), deliveries: 400_000 },
      { name: 'null sender', target: nullTarget, deliveries: 6_000_000 },
    ]
    for (const { target } of peers) await load.run(target, warmUp)
    const results: Group[] = []
    for (const subscribers of SUBSCRIBERS) {
      tell(`${subscribers} subscribers`)
      const contenders = peers.map(({ name, target, deliveries }): Contender => {
        const messages = deliveries / subscribers / (isQuick ? 4 : 1)
        return { name, run: () => load.run(target, { subscribers, messages }) }
      })
      results.push([subscribers, await interleave(contenders, isQuick ? 2 : 5, tell)])
    }
    return section(results)
  },
}

function section(results: readonly Group[]): Section {
  return {
    title: 'WebSocket fan-out beside other servers',
    notes: [
      `As the fan-out above, with ${SIZE.payloadBytes} bytes of data. Mosquitto is given PUBLISH of quality of ` +
        'service 0 over TCP and sends it over MQTT on WebSockets, without a bound on its queues, since by default ' +
        'it drops what a subscriber has not read. Socket.IO and bare `ws` are Node programs that take the same ' +
        `NDJSON of ${BATCH} lines as the broker and send each line to every socket. The null sender writes as many ` +
        `ready-made frames of the size of the events of the broker. With \`--workers ${WORKERS}\` so many more processes ` +
        'hold the connections.',
    ],
    tables: [
      groupedTable('subscribers', results, [
        spread('deliveries/s'),
        median('MB/s'),
        median('server cores', formatDecimal),
        ratio('deliveries/s'),
        ratioOf(1, 'deliveries/s', `with ${WORKERS} workers : it`),
      ]),
    ],
  }
}
