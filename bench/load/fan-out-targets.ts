import { CONSUMER, PRODUCER, type RunningBroker } from '../servers/broker.ts'
import type { RunningMosquitto } from '../servers/mosquitto.ts'
import type { RunningNats } from '../servers/nats.ts'
import type { FanOutTarget } from './fan-out-load.ts'
import {
  MQTT_CONNACK,
  MQTT_PUBLISH,
  MQTT_SUBACK,
  mqttConnect,
  mqttPublish,
  mqttSubscribe,
} from './mqtt-packets.ts'
import { NATS_CONNECT } from './nats-publisher.ts'
import type { CalledProcess } from './process-calls.ts'
import type { Publisher, PublishOptions } from './publisher.ts'
import type { Greeting } from './subscriber-socket.ts'

/** Connections that publish as fast as they are accepted: as many as the broker is fastest with. */
export const BROKER_PUBLISHERS = 4

/** The same of the peers; with more of them nats-server is no faster. */
export const PEER_PUBLISHERS = 2

/** Events of one NDJSON request. */
export const BATCH = 500

export interface PublishSize {
  readonly payloadBytes: number
  /** Of a paced publisher; as fast as accepted without. */
  readonly perSecond?: number
  /** Lines of one NDJSON request in the place of `BATCH`. */
  readonly batch?: number
}

export const TOPIC = 'bench/fan-out'
const SUBJECT = 'bench.fan-out'

export type PublisherProcess = CalledProcess<Publisher>

export function toBroker(
  { host, port, process }: RunningBroker,
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const batch = size.perSecond === undefined ? (size.batch ?? BATCH) : 1
  const target = { protocol: 'http', path: `/events/${TOPIC}`, headers: PRODUCER, batch } as const
  return {
    pid: process.pid,
    subscribers: [
      {
        protocol: 'websocket',
        host,
        port,
        path: '/events/bench/**',
        headers: CONSUMER,
        greetings: [],
      },
    ],
    prepare: preparing(publisher, { host, port, target, publishers: BROKER_PUBLISHERS }, size),
  }
}

export function toNats(
  { host, clientPort, websocketPort, process }: RunningNats,
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const head = `MSG ${SUBJECT} 1 ${size.payloadBytes}\r\n`
  const payload = `${NATS_CONNECT}SUB ${SUBJECT} 1\r\nPING\r\n`
  const greetings = [{ opcode: 2, payload, awaited: 'PONG' }]
  const target = { protocol: 'nats', subject: SUBJECT } as const
  return {
    pid: process.pid,
    subscribers: [
      { protocol: 'websocket', host, port: websocketPort, path: '/', headers: {}, greetings },
    ],
    shape: {
      first: 'M'.charCodeAt(0),
      messageBytes: head.length + size.payloadBytes + 2,
      otherBytes: 'PING\r\n'.length,
    },
    prepare: preparing(
      publisher,
      { host, port: clientPort, target, publishers: PEER_PUBLISHERS },
      size,
    ),
  }
}

export function toMosquitto(
  { host, clientPort, websocketPort, process }: RunningMosquitto,
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const target = { protocol: 'mqtt', topic: TOPIC } as const
  return {
    pid: process.pid,
    subscribers: [
      {
        protocol: 'websocket',
        host,
        port: websocketPort,
        path: '/mqtt',
        headers: { 'Sec-WebSocket-Protocol': 'mqtt' },
        greetings: [
          // Without an id the broker gives each its own.
          { opcode: 2, payload: mqttConnect(''), awaited: MQTT_CONNACK },
          { opcode: 2, payload: mqttSubscribe('bench/#'), awaited: MQTT_SUBACK },
        ],
      },
    ],
    shape: {
      first: MQTT_PUBLISH,
      messageBytes: mqttPublish(TOPIC, 'x'.repeat(size.payloadBytes)).length,
      otherBytes: 2,
    },
    prepare: preparing(
      publisher,
      { host, port: clientPort, target, publishers: PEER_PUBLISHERS },
      size,
    ),
  }
}

/** A Node program of the bench that takes NDJSON and sends each line to everybody. */
export function toApp(
  { pid, port, greetings }: { pid: number; port: number; greetings: readonly Greeting[] },
  publisher: PublisherProcess,
  size: PublishSize,
): FanOutTarget {
  const host = '127.0.0.1'
  const path = greetings.length === 0 ? '/' : '/socket.io/?EIO=4&transport=websocket'
  const target = { protocol: 'http', path: '/', headers: {}, batch: BATCH } as const
  return {
    pid,
    subscribers: [{ protocol: 'websocket', host, port, path, headers: {}, greetings }],
    prepare: preparing(publisher, { host, port, target, publishers: PEER_PUBLISHERS }, size),
  }
}

export function preparing(
  publisher: PublisherProcess,
  where: Pick<PublishOptions, 'host' | 'port' | 'target' | 'publishers'>,
  { payloadBytes, perSecond }: PublishSize,
): FanOutTarget['prepare'] {
  return async (messages) => {
    const publishers = perSecond === undefined ? where.publishers : 1
    await publisher.call('prepare', { ...where, publishers, messages, payloadBytes, perSecond })
    return () => publisher.call('publish', undefined)
  }
}
