import type { WebSocket } from '@fastify/websocket'
import { QUIET_MS, Stream } from '../delivery/stream.ts'
import type { StreamServices } from '../http/http-stream.ts'
import type { StreamRequest } from '../http/stream-request.ts'
import type { Opening } from '../opening.ts'
import { WebSocketSink } from './websocket-sink.ts'

/** `GET /events/{filter}` as a WebSocket: one event per message and nothing else. */
export function serveWebSocketStream(
  { log, delivery, connections }: StreamServices,
  webSocket: WebSocket,
  opening: Opening,
  { filter, since = 'latest' }: StreamRequest,
): void {
  const sink = new WebSocketSink(webSocket, opening.socket)
  const stream = new Stream({ log, delivery, sink }, opening.principal)
  const registration = connections.add({
    get principal() {
      return stream.principal
    },
    address: opening.address,
    judge: (principal) => stream.judge(principal),
    tick: () => {
      sink.heartbeat()
      stream.tick(QUIET_MS)
    },
    drain: () => sink.end('serviceRestart'),
  })
  webSocket.on('message', () => sink.end('protocolError', 'this stream takes no messages'))
  webSocket.on('close', () => {
    stream[Symbol.dispose]()
    registration[Symbol.dispose]()
  })
  stream.subscribe([filter], since).catch((error: unknown) => {
    const { log: logger, requestId } = opening
    logger.error({ event: 'events.stream', requestId, err: error }, 'stream failed')
    webSocket.terminate()
  })
}
