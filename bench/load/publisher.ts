/** A process that publishes as fast as it is accepted, or at a pace. */
import { setTimeout as delay } from 'node:timers/promises'
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { HttpPublisher } from './http-publisher.ts'
import { openMqttPublisher } from './mqtt-publisher.ts'
import { openNatsPublisher } from './nats-publisher.ts'
import { payloadOf } from './payload.ts'
import { answerCalls } from './process-calls.ts'
import type { PublisherConnection } from './publisher-connection.ts'

export interface PublishOptions {
  readonly host: string
  readonly port: number
  readonly target: PublishTarget
  /** Connections that publish at once, each a sequence of its own. */
  readonly publishers: number
  /** Of all publishers together; a multiple of `publishers`. */
  readonly messages: number
  readonly payloadBytes: number
  /** Messages are sent one by one at this pace, whatever becomes of them; with one publisher only. */
  readonly perSecond?: number | undefined
}

export type PublishTarget =
  | {
      readonly protocol: 'http'
      readonly path: string
      readonly headers: Readonly<Record<string, string>>
      /** Lines of NDJSON in one request; the next is sent when it is acknowledged. */
      readonly batch: number
      /** Each message goes to the topic of its number; the path is without one. */
      readonly isGrouped?: boolean
    }
  | {
      readonly protocol: 'nats'
      readonly subject: string
      /** The subject is the beginning of that of each message. */
      readonly isGrouped?: boolean
    }
  | { readonly protocol: 'mqtt'; readonly topic: string }

/** Sends everything of one publisher; resolves when it is accepted. */
type Publish = () => Promise<void>

let prepared: readonly Publish[] = []

const api = {
  async prepare(options: PublishOptions): Promise<void> {
    const { publishers, perSecond } = options
    const connections = await Promise.all(Array.from({ length: publishers }, () => open(options)))
    prepared = connections.map((connection, publisher) =>
      perSecond === undefined
        ? prepareFlood(connection, publisher, options)
        : () => publishPaced(connection, options, perSecond),
    )
  },

  async publish(_: undefined): Promise<LoadReport> {
    const startedMs = clockMs()
    const busy = new BusyMeter()
    await Promise.all(prepared.map((publish) => publish()))
    return { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
  },
}

/** What the process of the publisher can be asked for. */
export type Publisher = typeof api

answerCalls(api)

function open({
  host,
  port,
  target,
}: PublishOptions): Promise<PublisherConnection> | PublisherConnection {
  if (target.protocol === 'http') return new HttpPublisher({ host, port, ...target })
  if (target.protocol === 'nats') return openNatsPublisher({ host, port, ...target })
  return openMqttPublisher({ host, port, ...target })
}

function prepareFlood(
  connection: PublisherConnection,
  publisher: number,
  { messages, publishers, payloadBytes }: PublishOptions,
): Publish {
  const payloads = Array.from({ length: messages / publishers }, (_, number) =>
    payloadOf({ publisher, number }, payloadBytes),
  )
  const packed = connection.pack(payloads)
  return async () => {
    for (const each of packed) await connection.send(each)
    await connection.finish()
  }
}

/** An open loop: a message that had to wait for the one before it waited since it was due. */
async function publishPaced(
  connection: PublisherConnection,
  { messages, payloadBytes }: PublishOptions,
  perSecond: number,
): Promise<void> {
  const startMs = clockMs()
  let sending = Promise.resolve()
  for (let number = 0; number < messages; number += 1) {
    const dueMs = startMs + (number * 1000) / perSecond
    await delay(Math.max(0, dueMs - clockMs()))
    const payload = payloadOf({ publisher: 0, number, sentMs: clockMs() }, payloadBytes)
    const [packed] = connection.pack([payload])
    sending = sending.then(() => (packed === undefined ? undefined : connection.send(packed)))
  }
  await sending
  await connection.finish()
}
