/** A process that holds streams: started by `stream-worker.ts`, it ends with its parent. */
import { Socket } from 'node:net'
import { Caller, isAnswer } from '../../events/remote/calls.ts'
import type { FeedMessage } from '../../events/remote/event-feed.ts'
import { decodeRows } from '../../events/remote/event-rows.ts'
import { type LinkMessage, MessageLink } from '../../events/remote/message-link.ts'
import { RemoteEventLog } from '../../events/remote/remote-event-log.ts'
import { HeldStreams } from './held-streams.ts'
import { attachSocket } from './socket-handle.ts'
import {
  LINK_FD,
  type PortablePrincipal,
  type SocketMessage,
  type WorkerOptions,
  type WorkerOrder,
  type WorkerReport,
} from './worker-messages.ts'

const REPORT_MS = 1000

const options: WorkerOptions = JSON.parse(process.argv[2] ?? '{}')
const caller = new Caller<PortablePrincipal>(() => link)
const link = new MessageLink(new Socket({ fd: LINK_FD }), receive)
let log: RemoteEventLog | undefined
let streams: HeldStreams | undefined
let isFinishing = false
const reporting = setInterval(reportCounts, REPORT_MS).unref()

// The main process ends the worker: a signal to the whole group must not cut its connections.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit())
process.on('message', ({ connection }: SocketMessage, handle?: unknown) => {
  streams?.takeSocket(connection, attachSocket(handle))
})

function receive({ head, rows }: LinkMessage): void {
  if (isAnswer(head)) caller.settle(head, rows)
  else if (isFeed(head)) feed(head, rows)
  else obey(head as WorkerOrder)
}

function isFeed(head: unknown): head is FeedMessage {
  return Object.hasOwn(head as object, 'through') || Object.hasOwn(head as object, 'start')
}

function feed(message: FeedMessage, rows: Buffer): void {
  if ('through' in message) {
    log?.feed(decodeRows(rows), message.through)
    return
  }
  log = new RemoteEventLog(message.epoch, message.start, caller)
  streams = new HeldStreams({ log, caller, onClosed: reportClosed }, options)
  process.send?.('ready')
}

function obey(order: WorkerOrder): void {
  if ('open' in order) streams?.takeOpening(order)
  else if ('judge' in order) streams?.judge(order.judge, order.principal)
  else if ('drain' in order) streams?.drain(order.drain, order.retryAfterMs)
  else {
    isFinishing = true
    streams?.end()
    endIfDone()
  }
}

function reportClosed(connection: number): void {
  link.send({ closed: connection } satisfies WorkerReport)
  endIfDone()
}

/** The main process counts for all. */
function reportCounts(): void {
  if (streams !== undefined) link.send(streams.takeCounts() satisfies WorkerReport)
}

function endIfDone(): void {
  if (!isFinishing || streams?.isEmpty === false) return
  clearInterval(reporting)
  reportCounts()
  link.socket.end(() => process.exit())
}
