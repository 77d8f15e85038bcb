import type { WebSocket } from '@fastify/websocket'
import type { StreamRequest } from '../http/stream-request.ts'
import type { StreamServices } from '../open-stream.ts'
import { openStream } from '../open-stream.ts'
import type { Opening } from '../opening.ts'
import { WebSocketSink } from './websocket-sink.ts'

/** `GET /events/{filter}` as a WebSocket: one event per message and nothing else. */
export function serveWebSocketStream(
  services: StreamServices,
  webSocket: WebSocket,
  opening: Opening,
  { filter, since = 'latest' }: StreamRequest,
): void {
  const sink = new WebSocketSink(webSocket, opening.socket)
  const open = openStream(services, opening, sink, () => sink.heartbeat())
  webSocket.on('message', () => sink.end('protocolError', 'this stream takes no messages'))
  webSocket.on('close', () => open[Symbol.dispose]())
  open.stream.subscribe([filter], since).catch((error: unknown) => {
    const { log: logger, requestId } = opening
    logger.error({ event: 'events.stream', requestId, err: error }, 'stream failed')
    webSocket.terminate()
  })
}
