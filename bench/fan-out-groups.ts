import { FanOutLoad } from './load/fan-out-load.ts'
import { BATCH, BROKER_PUBLISHERS, PEER_PUBLISHERS } from './load/fan-out-targets.ts'
import { toGroupsOfBroker, toGroupsOfNats } from './load/group-targets.ts'
import { NullServer, TOGETHER } from './load/null-target.ts'
import { CalledProcess } from './load/process-calls.ts'
import type { Publisher } from './load/publisher.ts'
import { PLACES, TOPIC_GROUPS } from './load/topic-groups.ts'
import { contenderTable, formatDecimal, median, ratio, spread } from './measure/columns.ts'
import { type Contender, interleave, type Rounds } from './measure/interleaved.ts'
import type { Line } from './measure/line.ts'
import type { Section } from './measure/report.ts'
import { startBroker } from './servers/broker.ts'
import { startNats } from './servers/nats.ts'

const PAYLOAD_BYTES = 128
const SUBSCRIBERS = 1000
const MESSAGES = 60_000

export const fanOutGroups: Line = {
  name: 'fan-out-groups',
  needs: ['nats-server'],
  async run({ isQuick, tell }) {
    await using cleanup = new AsyncDisposableStack()
    const broker = await startBroker()
    cleanup.use(broker.process)
    const nats = await startNats()
    cleanup.use(nats.process)
    const nullServer = cleanup.use(await NullServer.start())
    const publisher = cleanup.use(
      CalledProcess.start<Publisher>(new URL('./load/publisher.ts', import.meta.url)),
    )
    const load = cleanup.use(new FanOutLoad())

    // Warms all of them up, and tells how large an event is.
    const warmUp = { subscribers: TOPIC_GROUPS.length * 2, messages: 20_000 }
    const brokerTarget = toGroupsOfBroker(broker, publisher, { payloadBytes: PAYLOAD_BYTES })
    const { messageBytes } = await load.run(brokerTarget, warmUp)
    const eventBytes = Math.round(messageBytes)
    const targets = [
      ['broker', brokerTarget],
      ...[PAYLOAD_BYTES, eventBytes].map(
        (payloadBytes) =>
          [
            `nats-server, payload ${payloadBytes} B`,
            toGroupsOfNats(nats, publisher, { payloadBytes }),
          ] as const,
      ),
      [`null sender, ${eventBytes} B`, nullServer.toTarget(eventBytes, PLACES)],
    ] as const
    for (const [, target] of targets) await load.run(target, warmUp)
    const size = { subscribers: SUBSCRIBERS, messages: isQuick ? MESSAGES / 3 : MESSAGES }
    const contenders = targets.map(
      ([name, target]): Contender => ({ name, run: () => load.run(target, size) }),
    )
    return section(await interleave(contenders, isQuick ? 2 : 5, tell), eventBytes)
  },
}

function section(rounds: readonly Rounds[], eventBytes: number): Section {
  const groups = TOPIC_GROUPS.length
  return {
    title: 'WebSocket fan-out to groups',
    notes: [
      `As the fan-out, to ${SUBSCRIBERS} subscribers in ${groups} groups of ${SUBSCRIBERS / groups}, each with a filter of its own: ` +
        `${PLACES} segments, of which all but one are wildcards. Of ${PLACES * PLACES} topics in turn each matches ${PLACES} of the filters, so ` +
        `an event goes to ${SUBSCRIBERS / PLACES} subscribers. The broker is given NDJSON of ${BATCH} CloudEvents by ${BROKER_PUBLISHERS} publishers and ` +
        `sends events of ${eventBytes} bytes; nats-server is given PUB by ${PEER_PUBLISHERS}, with the same subjects and wildcards. The ` +
        `null sender writes as many frames to as many sockets, ${TOGETHER} a call.`,
      'Checked: the number of messages of every subscriber, and on every ninth that they are those of its ' +
        'group, whole and in order.',
    ],
    tables: [
      contenderTable(rounds, [
        spread('deliveries/s'),
        median('MB/s'),
        median('server cores', formatDecimal),
        ratio('deliveries/s'),
      ]),
    ],
  }
}
