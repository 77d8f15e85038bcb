import { readdirSync, readFileSync } from 'node:fs'
import { queryObjects } from 'node:v8'
import { Audience } from '../../src/events/delivery/audience.ts'
import { Stream } from '../../src/events/delivery/stream.ts'
import { HttpSink } from '../../src/events/http/http-sink.ts'
import { WebSocketSession } from '../../src/events/websocket/websocket-session.ts'
import { WebSocketSink } from '../../src/events/websocket/websocket-sink.ts'
import { ZmqSession } from '../../src/events/zmq/zmq-session.ts'
import { ZmqSink } from '../../src/events/zmq/zmq-sink.ts'
import { startGateway } from '../support/gateway.ts'
import { freePort } from '../support/nginx.ts'

/**
 * A broker of its own in a child process, which counts what it holds. Run with `--expose-gc` and the number of
 * its workers, of which it sees the descriptors alone.
 */
const COUNTED = [Audience, Stream, HttpSink, WebSocketSession, WebSocketSink, ZmqSession, ZmqSink]

const WORKERS = Number(process.argv[2])

export interface Started {
  readonly url: string
  readonly token: string
  readonly zmqSession: string
  readonly zmqSubscribe: string
}

/** What lives at one moment, after the garbage is collected. */
export interface Held {
  /** Streams, sinks and sessions of every kind, sockets, timers, descriptors: each by its name. */
  readonly counts: Readonly<Record<string, number>>
  readonly heapBytes: number
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Of each process, this one first; also those of ZeroMQ, whose sockets Node does not know. */
function descriptors(): Record<string, number> {
  const { pid } = process
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  const processes = [pid, ...workers.slice(0, WORKERS)]
  return Object.fromEntries(
    processes.map((pid, i) => [`descriptors ${i}`, readdirSync(`/proc/${pid}/fd`).length]),
  )
}

function measure(): Held {
  globalThis.gc?.()
  const objects = COUNTED.map((type) => [type.name, queryObjects(type, { format: 'count' })])
  const { TCPSocketWrap = 0, Timeout = 0 } = count(process.getActiveResourcesInfo())
  return {
    counts: { ...Object.fromEntries(objects), TCPSocketWrap, Timeout, ...descriptors() },
    heapBytes: process.memoryUsage().heapUsed,
  }
}

const zmqSession = `tcp://127.0.0.1:${await freePort()}`
const zmqSubscribe = `tcp://127.0.0.1:${await freePort()}`
const broker = await startGateway({ zmqSession, zmqSubscribe, workers: String(WORKERS) })
process.on('message', (message) => {
  if (message === 'measure') process.send?.(measure())
})
process.on('disconnect', () => broker[Symbol.asyncDispose]())
const { url, adminToken: token } = broker
const started: Started = { url, token, zmqSession, zmqSubscribe }
process.send?.(started)
