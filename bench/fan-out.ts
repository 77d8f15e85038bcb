import { FanOutLoad, type FanOutTarget } from './load/fan-out-load.ts'
import {
  BATCH,
  BROKER_PUBLISHERS,
  PEER_PUBLISHERS,
  toBroker,
  toNats,
} from './load/fan-out-targets.ts'
import { NullServer, TOGETHER } from './load/null-target.ts'
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
import type { Line, LineOptions } from './measure/line.ts'
import type { Section } from './measure/report.ts'
import { startBroker } from './servers/broker.ts'
import { startNats } from './servers/nats.ts'

const PAYLOAD_BYTES = 128
const WORKERS = 2
const SIZES = [
  { subscribers: 100, messages: 120_000 },
  { subscribers: 1000, messages: 24_000 },
] as const

export const fanOut: Line = {
  name: 'fan-out',
  needs: ['nats-server'],
  async run(options) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const workers = await startBroker({ flags: [`--workers=${WORKERS}`] })
    cleanup.use(workers.process)
    const nats = await startNats()
    cleanup.use(nats.process)
    const nullSender = cleanup.use(await NullServer.start())
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const load = cleanup.use(new FanOutLoad())

    // Warms all of them up, and tells how large an event is.
    const warmUp = { subscribers: 10, messages: 10_000 }
    const payload = { payloadBytes: PAYLOAD_BYTES }
    const brokerTarget = toBroker(broker, publisher, payload)
    const { messageBytes } = await load.run(brokerTarget, warmUp)
    const eventBytes = Math.round(messageBytes)
    const targets: readonly (readonly [string, FanOutTarget])[] = [
      ['broker', brokerTarget],
      [`broker --workers ${WORKERS}`, toBroker(workers, publisher, payload)],
      [`nats-server, payload ${PAYLOAD_BYTES} B`, toNats(nats, publisher, payload)],
      [
        `nats-server, payload ${eventBytes} B`,
        toNats(nats, publisher, { payloadBytes: eventBytes }),
      ],
      [`null sender, ${eventBytes} B`, nullSender.toTarget(eventBytes)],
    ]
    for (const [, target] of targets) await load.run(target, warmUp)

    const results: Group[] = []
    for (const { subscribers, messages } of SIZES) {
      const size = { subscribers, messages: options.isQuick ? messages / 5 : messages }
      const contenders = targets.map(
        ([name, target]): Contender => ({
          name,
          run: () => load.run(target, size),
        }),
      )
      options.tell(`${subscribers} subscribers`)
      results.push([subscribers, await interleave(contenders, roundsOf(options), options.tell)])
    }
    return section(results, eventBytes)
  },
}

function roundsOf({ isQuick }: LineOptions): number {
  return isQuick ? 2 : 5
}

function section(results: readonly Group[], eventBytes: number): Section {
  return {
    title: 'WebSocket fan-out',
    notes: [
      `Events with ${PAYLOAD_BYTES} bytes of data, published as fast as they are accepted, to subscribers of one filter on ` +
        `plain WebSockets. The broker is given NDJSON of ${BATCH} lines a request by ${BROKER_PUBLISHERS} publishers, answers when they are ` +
        `committed to its log, and sends CloudEvents of ${eventBytes} bytes, authorised by token; nats-server is given PUB over ` +
        `TCP by ${PEER_PUBLISHERS} publishers and sends MSG in binary frames, without authentication and without a log. The second ` +
        'row of nats-server has payloads as large as the events. The null sender is a Node program that writes ' +
        `ready-made frames, ${TOGETHER} a call. With \`--workers ${WORKERS}\` so many more processes hold the connections.`,
      'From the first publish until the last subscriber has everything. Subscribers are plain TCP in two ' +
        'processes; messages are counted on every connection, and number and order of each message checked on ' +
        'every tenth. MB/s are payload bytes of frames.',
    ],
    tried: [
      'Publishers: 1, 2, 4 and 8, and 250 to 2,000 lines a request. The broker gains up to 4 publishers, since a commit ' +
        'waits for the disk; nats-server is fastest with 2, or as fast.',
      'Ids from `ulid()`, which asks the system for randomness 16 times an id, were 43% of the time of the broker and ' +
        'left 2 to 3 M deliveries/s at 100 subscribers. Ids that count up within a millisecond more than doubled that.',
      'Profile of the broker at 100 subscribers: writing to sockets 45%, reading and composing events 20%, handing ' +
        'rows to the thread of the database 5%, answers 5%; at 1,000 nearly all is writing.',
      'What limits at 100 is the main thread: 100 writes of ready-made frames are 8.9 us an event (the null sender), which ' +
        'by itself is 1.9 times nats-server with 128 B; reading, judging, composing and committing one are 7 more. ' +
        'With workers the main thread writes nothing, but then server, publishers and subscribers fill the machine.',
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
