import { FanOutLoad, type FanOutTarget } from './load/fan-out-load.ts'
import { BROKER_PUBLISHERS, TOPIC, toBroker } from './load/fan-out-targets.ts'
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
import { type Contender, interleave } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import type { Section } from './measure/report.ts'
import { CONSUMER_NAME, CONSUMER_TOKEN, startBroker } from './servers/broker.ts'
import type { XpubApp } from './servers/xpub-app.ts'

const PAYLOAD_BYTES = 128
const PREFIX = 'bench/'
/** Lines of one NDJSON request. */
const BATCH = 500

const SIZES = [
  { subscribers: 4, messages: 400_000 },
  { subscribers: 16, messages: 200_000 },
] as const

export const zmqSubscribe: Line = {
  name: 'zmq-subscribe',
  needs: [],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const app = cleanup.use(
      CalledProcess.start<XpubApp>(new URL('./servers/xpub-app.ts', import.meta.url)),
    )
    const appPort = await app.call('listen', undefined)
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const load = cleanup.use(new FanOutLoad())
    const plain = { user: CONSUMER_NAME, password: CONSUMER_TOKEN }
    const brokerTarget: FanOutTarget = {
      ...toBroker(broker, publisher, { payloadBytes: PAYLOAD_BYTES, batch: BATCH }),
      subscribers: [
        {
          protocol: 'zmq',
          host: broker.host,
          port: broker.zmqSubscribePort,
          plain,
          prefix: PREFIX,
        },
      ],
    }
    const warmUp = { subscribers: 4, messages: 20_000 }
    const { messageBytes } = await load.run(brokerTarget, warmUp)
    const eventBytes = Math.round(messageBytes)
    const appTarget = toXpub({ app, port: appPort, bytes: eventBytes })
    await load.run(appTarget, warmUp)
    const results: Group[] = []
    for (const { subscribers, messages } of SIZES) {
      const size = { subscribers, messages: isQuick ? messages / 5 : messages }
      const contenders: readonly Contender[] = [
        { name: 'broker', run: () => load.run(brokerTarget, size) },
        { name: `bare XPUB, ${eventBytes} B`, run: () => load.run(appTarget, size) },
      ]
      tell(`${subscribers} subscribers`)
      results.push([subscribers, await interleave(contenders, isQuick ? 2 : 5, tell)])
    }
    return section(results, eventBytes)
  },
}

function toXpub({
  app,
  port,
  bytes,
}: {
  app: CalledProcess<XpubApp>
  port: number
  bytes: number
}): FanOutTarget {
  return {
    pid: app.pid,
    subscribers: [{ protocol: 'zmq', host: '127.0.0.1', port, prefix: PREFIX }],
    prepare: async (messages) => {
      await app.call('prepare', { messages, bytes })
      return () => app.call('send', { topic: TOPIC })
    },
  }
}

function section(results: readonly Group[], eventBytes: number): Section {
  return {
    title: 'Events to ZeroMQ SUB sockets',
    notes: [
      `Events with ${PAYLOAD_BYTES} bytes of data to SUB sockets, each event two frames: its topic, and its ${eventBytes} ` +
        `bytes. The broker is given NDJSON of ${BATCH} lines by ${BROKER_PUBLISHERS} publishers over HTTP, commits them to its log, and lets ` +
        'in by PLAIN; the bare one is a Node program that sends ready-made frames of the same size from an XPUB ' +
        'of zeromq.js. SUB loses what comes too fast for it: a run in which that happens is void.',
      'The subscribers speak ZMTP over plain TCP, in two processes, since sockets of libzmq in them ' +
        'would be what is measured. Every event is counted, number and order checked on every ninth of a process.',
    ],
    tried: [
      'While libzmq held 10,000 for a peer and dropped the rest of a burst without a word, such runs lost up to ' +
        '66,000 deliveries. Now a full peer is waited for: of 256, 1,000 and 10,000 messages none lost any.',
      'With 4 sockets this is the figure of publishing: the last delivery comes when the last publisher has its ' +
        'answer (after 38.8 and 38.7 us an event), and of 9 us of the main thread 8 are there without a subscriber ' +
        'too. Beside `send` of zeromq.js, which is all that the bare one does in 2 us, the broker needs 0.2 us.',
      'Without gain beyond the spread: requests of 1,000, 2,000 and 5,000 lines, 8 publishers, 10,000 events held for a ' +
        'subscriber (waiting for full ones is 5% of the time), one promise less for each event.',
    ],
    tables: [
      groupedTable('subscribers', results, [
        spread('deliveries/s'),
        median('MB/s'),
        median('server cores', formatDecimal),
        ratio('deliveries/s'),
      ]),
    ],
  }
}
