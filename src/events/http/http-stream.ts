import type { FastifyReply, FastifyRequest } from 'fastify'
import { admitSubscriber } from '../delivery/admission.ts'
import type { Connections } from '../delivery/connections.ts'
import type { Delivery } from '../delivery/delivery.ts'
import {
  type Encoding,
  NAMED_SSE_ENCODING,
  NDJSON_ENCODING,
  SSE_ENCODING,
} from '../delivery/encoding.ts'
import { QUIET_MS, Stream } from '../delivery/stream.ts'
import type { LogReader } from '../log/event-log.ts'
import { HttpSink } from './http-sink.ts'
import { readStreamRequest } from './stream-request.ts'

/** What the doors of streams share. */
export interface StreamServices {
  readonly log: LogReader
  readonly delivery: Delivery
  readonly connections: Pick<Connections, 'add' | 'admit'>
  /** What the `type` of a problem begins with. */
  readonly publicUrl?: string | undefined
}

interface StreamFormat {
  readonly mediaType: string
  readonly encoding: Encoding
  readonly renderPosition?: (position: string) => string
}

/** Server-sent events; `?named=1` also names each event by its type. */
export function httpServerSentEvents(
  services: StreamServices,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const isNamed = readStreamRequest(request.raw).query.get('named') === '1'
  serve(services, request, reply, {
    mediaType: 'text/event-stream',
    encoding: isNamed ? NAMED_SSE_ENCODING : SSE_ENCODING,
    // An id without data moves the client's last event id and dispatches nothing.
    renderPosition: (position) => `id: ${position}\n\n`,
  })
}

/** One event a line; `?follow=false` ends at the present. */
export function httpLines(
  services: StreamServices,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  serve(services, request, reply, { mediaType: 'application/x-ndjson', encoding: NDJSON_ENCODING })
}

function serve(
  { log, delivery, connections }: StreamServices,
  request: FastifyRequest,
  reply: FastifyReply,
  { mediaType, encoding, renderPosition }: StreamFormat,
): void {
  const { filter, since, query } = readStreamRequest(request.raw)
  const isFollowing = query.get('follow') !== 'false'
  admitSubscriber(request.principal, filter)
  connections.admit(request.principal.user, request.ip)
  reply.hijack()
  const response = reply.raw
  response.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': mediaType,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
  response.flushHeaders()
  const sink = new HttpSink(response, encoding, renderPosition)
  const stream = new Stream({ log, delivery, sink }, request.principal)
  const registration = connections.add({
    get principal() {
      return stream.principal
    },
    address: request.ip,
    judge: (principal) => stream.judge(principal),
    tick: () => stream.tick(QUIET_MS),
    drain: () => sink.end(),
  })
  response.once('close', () => {
    stream[Symbol.dispose]()
    registration[Symbol.dispose]()
  })
  // Without `follow` the point is what is there.
  const from = since ?? (isFollowing ? 'latest' : 'earliest')
  stream
    .subscribe([filter], from, {
      // Not before a gap is told: a client that came back with it would never hear of the gap.
      accepted: ({ position, recovered }) => {
        if (recovered) sink.position(position)
      },
      replayed: () => {
        if (!isFollowing) sink.end()
      },
    })
    .then(() => isFollowing || sink.end())
    .catch((error: unknown) => {
      request.log.error({ event: 'events.stream', err: error }, 'stream failed')
      response.destroy()
    })
}
