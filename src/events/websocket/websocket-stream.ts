import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { QUIET_MS, Stream } from '../delivery/stream.ts'
import type { StreamServices } from '../http/http-stream.ts'
import { readStreamRequest } from '../http/stream-request.ts'
import { WebSocketSink } from './websocket-sink.ts'

/** `GET /events/{filter}` as a WebSocket: one event per message and nothing else. */
export function serveWebSocketStream(
  { log, delivery, connections }: StreamServices,
  webSocket: WebSocket,
  request: FastifyRequest,
): void {
  const { filter, since = 'latest' } = readStreamRequest(request)
  const sink = new WebSocketSink(webSocket, request.raw.socket)
  const stream = new Stream({ log, delivery, sink }, request.principal)
  const registration = connections.add({
    get principal() {
      return stream.principal
    },
    judge: (principal) => stream.judge(principal),
    tick: () => {
      sink.heartbeat()
      stream.tellPosition(QUIET_MS)
    },
    drain: () => sink.end('serviceRestart'),
  })
  webSocket.on('message', () => sink.end('protocolError', 'this stream takes no messages'))
  webSocket.on('close', () => {
    stream[Symbol.dispose]()
    registration[Symbol.dispose]()
  })
  stream.subscribe([filter], since).catch((error: unknown) => {
    request.log.error({ event: 'events.stream', err: error }, 'stream failed')
    webSocket.terminate()
  })
}
