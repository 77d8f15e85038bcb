import { FanOutLoad, type FanOutTarget } from './load/fan-out-load.ts'
import { toBroker, toNats } from './load/fan-out-targets.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { Publisher } from './load/publisher.ts'
import { contenderTable, formatDecimal, median, ratioTo, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import type { Section } from './measure/report.ts'
import { startBroker } from './servers/broker.ts'
import { startNats } from './servers/nats.ts'

const SIZE = { payloadBytes: 128, perSecond: 100 }
const SUBSCRIBERS = 1000

/** With workers, and without a log on disk, as nats-server has none. */
const VARIANTS = [['--workers=2'], ['--workers=3'], ['--workers=3', '--events=memory:']] as const

export const latency: Line = {
  name: 'latency',
  needs: ['nats-server'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const nats = await startNats()
    cleanup.use(nats.process)
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const load = cleanup.use(new FanOutLoad())
    const size = { subscribers: SUBSCRIBERS, withLatency: true }
    const messages = SIZE.perSecond * (isQuick ? 2 : 8)
    const targets: (readonly [string, FanOutTarget])[] = [
      ['broker', toBroker(broker, publisher, SIZE)],
      ['nats-server', toNats(nats, publisher, SIZE)],
    ]
    for (const flags of VARIANTS) {
      const each = await startBroker({ flags })
      cleanup.use(each.process)
      targets.push([`broker ${flags.join(' ')}`, toBroker(each, publisher, SIZE)])
    }
    for (const [, target] of targets) await load.run(target, { ...size, messages: 100 })
    const contenders = targets.map(
      ([name, target]): Contender => ({
        name,
        run: () => load.run(target, { ...size, messages }),
      }),
    )
    return section(await interleave(contenders, isQuick ? 2 : 5, tell))
  },
}

function section(rounds: readonly Rounds[]): Section {
  return {
    title: 'Latency',
    notes: [
      `${SIZE.perSecond} events a second, one by one and whatever becomes of them, to ${SUBSCRIBERS} WebSockets: from the ` +
        'moment at which an event is due until a subscriber has read it, of all events on all connections. The broker ' +
        'is sent a POST for each, nats-server a PUB.',
    ],
    tried: [
      'A shorter window at low rates, in one process: no gain, and it collapsed under load. The 1,000 writes of an event, ' +
        '8 us each, are most of what a core can do until the next one is due.',
      'With three workers what is left is the wait for the disk: without a log on it, as nats-server has none, the broker ' +
        'is level. A commit is one fdatasync and four changes of thread.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('p50 ms', formatDecimal),
        spread('p99 ms', formatDecimal),
        median('server cores', formatDecimal),
        ratioTo(1, 'p50 ms', 'p50 it : nats-server'),
        ratioTo(1, 'p99 ms', 'p99 it : nats-server'),
      ]),
    ],
  }
}
