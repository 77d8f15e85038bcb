import { CONSUMER, PRODUCER, type RunningBroker } from '../servers/broker.ts'
import type { RunningNats } from '../servers/nats.ts'
import type { FanOutTarget } from './fan-out-load.ts'
import {
  BATCH,
  BROKER_PUBLISHERS,
  PEER_PUBLISHERS,
  type PublisherProcess,
  type PublishSize,
  preparing,
} from './fan-out-targets.ts'
import { NATS_CONNECT } from './nats-publisher.ts'
import type { SubscriberOptions } from './subscribers.ts'
import { digitsOf, PLACES, patternOf, TOPIC_GROUPS } from './topic-groups.ts'

const SUBJECT = 'bench'

/** Each message goes to the groups of its topic: a subscriber is given one of ten. */
export function toGroupsOfBroker(
  { host, port, process }: RunningBroker,
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const subscribers = TOPIC_GROUPS.map((group): SubscriberOptions => {
    const path = `/events/bench/${patternOf(group).join('/')}`
    return { protocol: 'websocket', host, port, path, headers: CONSUMER, greetings: [], group }
  })
  const headers = PRODUCER
  const target = {
    protocol: 'http',
    path: '/events',
    headers,
    batch: BATCH,
    isGrouped: true,
  } as const
  const where = { host, port, target, publishers: BROKER_PUBLISHERS }
  return {
    pid: process.pid,
    subscribers,
    sentPerGiven: PLACES,
    prepare: preparing(publisher, where, size),
  }
}

export function toGroupsOfNats(
  { host, clientPort, websocketPort, process }: RunningNats,
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const subscribers = TOPIC_GROUPS.map((group): SubscriberOptions => {
    const pattern = [SUBJECT, ...patternOf(group)].join('.')
    const payload = `${NATS_CONNECT}SUB ${pattern} 1\r\nPING\r\n`
    const greetings = [{ opcode: 2, payload, awaited: 'PONG' }]
    const address = { host, port: websocketPort, path: '/', headers: {} }
    return { protocol: 'websocket', ...address, greetings, group }
  })
  const target = { protocol: 'nats', subject: SUBJECT, isGrouped: true } as const
  const where = { host, port: clientPort, target, publishers: PEER_PUBLISHERS }
  // All subjects are of one length.
  const head = `MSG ${[SUBJECT, ...digitsOf(0)].join('.')} 1 ${size.payloadBytes}\r\n`
  return {
    pid: process.pid,
    subscribers,
    sentPerGiven: PLACES,
    shape: {
      first: 'M'.charCodeAt(0),
      messageBytes: head.length + size.payloadBytes + 2,
      otherBytes: 'PING\r\n'.length,
    },
    prepare: preparing(publisher, where, size),
  }
}
