import type { WebSocket } from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'
import { parseSwitch } from '../protocol/query-switch.ts'
import { admitSubscriber } from './delivery/admission.ts'
import type { HandOver } from './hand-over.ts'
import { httpPage } from './http/http-page.ts'
import { httpStream } from './http/http-stream.ts'
import type { StreamKind } from './http/stream-format.ts'
import { readStreamRequest } from './http/stream-request.ts'
import { type Opening, openingOf } from './opening.ts'
import { httpPublish, judgeRoute } from './publish/http-publish.ts'
import { MAX_BATCH_BYTES } from './publish/publish-body.ts'
import { type SessionServices, WebSocketSession } from './websocket/websocket-session.ts'
import { serveWebSocketStream } from './websocket/websocket-stream.ts'

export interface EventsPluginDeps extends SessionServices {
  readonly handOver?: HandOver
}

/** The HTTP and WebSocket doors of events: `/events`, `/events/*`, `/ws`. */
export async function eventsPlugin(
  app: FastifyInstance,
  services: EventsPluginDeps,
): Promise<void> {
  const handOver =
    (kind: 'session' | 'stream'): preHandlerHookHandler =>
    (request, reply, done) => {
      if (request.ws) {
        services.connections.admit(request.principal.user, request.ip)
        // What the framework keeps for an answer would stay as long as the connection.
        reply.raw.detachSocket(request.raw.socket)
        if (services.handOver?.(kind, request) === true) reply.hijack()
      }
      done()
    }
  app.decorateRequest('topic')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: MAX_BATCH_BYTES },
    (_, body, done) => done(null, body),
  )
  for (const url of ['/events', '/events/*']) {
    app.route({
      method: 'GET',
      url,
      exposeHeadRoute: false,
      config: { ws: true },
      preValidation: async (request) => {
        if (request.ws) admitSubscriber(request.principal, readStreamRequest(request.raw).filter)
      },
      preHandler: handOver('stream'),
      handler: (request, reply) => httpEvents(services, request, reply),
      wsHandler: (webSocket, request) => {
        serveWebSocketStream(
          services,
          webSocket,
          opened(webSocket, request),
          readStreamRequest(request.raw),
        )
      },
    })
    app.route({
      method: 'POST',
      url,
      config: { isRoutine: true },
      preParsing: (request, _reply, _payload, done) => {
        judgeRoute(request)
        done()
      },
      handler: (request, reply) => httpPublish(services.publisher, request, reply),
    })
  }
  app.route({
    method: 'GET',
    url: '/ws',
    exposeHeadRoute: false,
    config: { ws: true },
    preHandler: handOver('session'),
    handler: () => {
      throw new BrokerError('UPGRADE_REQUIRED', 'this address speaks WebSocket only')
    },
    wsHandler: (webSocket, request) => {
      new WebSocketSession(services, webSocket, opened(webSocket, request))
    },
  })
}

function opened(webSocket: WebSocket, request: FastifyRequest): Opening {
  // The plugin's listener holds on to request and reply, and logs what a client did wrong as an error of ours.
  webSocket.removeAllListeners('error')
  return openingOf(request)
}

/** `GET /events/{filter}` in the form that `Accept` asks for. */
async function httpEvents(
  services: EventsPluginDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const kind = streamKindOf(request)
  if (kind !== undefined) {
    return httpStream(services, kind, request, reply, services.handOver)
  }
  return reply.type('application/json').send(await httpPage(services, request))
}

/** @returns undefined for a page */
function streamKindOf({ headers, raw }: FastifyRequest): StreamKind | undefined {
  const accept = headers.accept ?? ''
  if (accept.includes('text/event-stream')) {
    return parseSwitch(readStreamRequest(raw).query, 'named') ? 'named-events' : 'events'
  }
  return accept.includes('application/x-ndjson') ? 'lines' : undefined
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route takes WebSockets. */
    ws?: boolean
    /** Asked so often that requests which succeed are logged at debug: a line is a tenth of a publish. */
    isRoutine?: boolean
  }
}
