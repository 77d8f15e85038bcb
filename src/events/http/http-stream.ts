import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { parseSwitch } from '../../protocol/query-switch.ts'
import { admitSubscriber } from '../delivery/admission.ts'
import type { HandOver } from '../hand-over.ts'
import { openStream, type StreamServices } from '../open-stream.ts'
import { type Opening, openingOf } from '../opening.ts'
import { type BodyStream, HttpSink } from './http-sink.ts'
import { STREAM_FORMATS, type StreamKind } from './stream-format.ts'
import { readStreamRequest, type StreamRequest } from './stream-request.ts'

/** A response that goes on: NDJSON, where `?follow=false` ends at the present, or server-sent events. */
export function httpStream(
  services: StreamServices,
  kind: StreamKind,
  request: FastifyRequest,
  reply: FastifyReply,
  handOver: HandOver = () => false,
): void {
  const asked = readStreamRequest(request.raw)
  const isEndless = isFollowing(asked)
  admitSubscriber(request.principal, asked.filter)
  services.connections.admit(request.principal.user, request.ip)
  reply.hijack()
  const headers = {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': STREAM_FORMATS[kind].mediaType,
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  }
  const takesChunks = request.raw.httpVersion === '1.1'
  if (isEndless && takesChunks && handOver(kind, request, headOf(headers))) return
  const response = reply.raw
  response.writeHead(200, headers)
  response.flushHeaders()
  writeStream(services, kind, response, openingOf(request), asked)
}

/** Writes the events of a stream to `body` until either end closes it. */
export function writeStream(
  services: StreamServices,
  kind: StreamKind,
  body: BodyStream,
  opening: Opening,
  asked: StreamRequest,
): void {
  const { encoding, renderPosition } = { renderPosition: undefined, ...STREAM_FORMATS[kind] }
  const sink = new HttpSink(body, opening.socket, encoding, renderPosition)
  const open = openStream(services, opening, sink)
  body.once('close', () => open[Symbol.dispose]())
  const isEndless = isFollowing(asked)
  // Without `follow` the point is what is there.
  const from = asked.since ?? (isEndless ? 'latest' : 'earliest')
  open.stream
    .subscribe([asked.filter], from, {
      // Not before a gap is told: a client that came back with it would never hear of the gap.
      accepted: ({ position, recovered }) => {
        if (recovered) sink.position(position)
      },
      replayed: () => {
        if (!isEndless) sink.end()
      },
    })
    .then(() => isEndless || sink.end())
    .catch((err: unknown) => {
      const { log: logger, requestId } = opening
      logger.error({ event: 'events.stream', requestId, err }, 'stream failed')
      body.destroy()
    })
}

function isFollowing({ query }: StreamRequest): boolean {
  return parseSwitch(query, 'follow', true)
}

function headOf(headers: Readonly<Record<string, string>>): string {
  const fields = { ...headers, 'transfer-encoding': 'chunked', connection: 'close' }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 200 ${STATUS_CODES[200]}\r\ndate: ${new Date().toUTCString()}\r\n${lines.join('')}\r\n`
}
