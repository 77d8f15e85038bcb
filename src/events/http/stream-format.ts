import {
  type Encoding,
  NAMED_SSE_ENCODING,
  NDJSON_ENCODING,
  SSE_ENCODING,
} from '../delivery/encoding.ts'

/** How a streamed response is written. */
export interface StreamFormat {
  readonly mediaType: string
  readonly encoding: Encoding
  readonly renderPosition?: (position: string) => string
}

/** An id without data moves the client's last event id and dispatches nothing. */
const renderPosition = (position: string) => `id: ${position}\n\n`

/** One event a line; server-sent events; the same, each named by its type. */
export const STREAM_FORMATS = {
  lines: { mediaType: 'application/x-ndjson', encoding: NDJSON_ENCODING },
  events: { mediaType: 'text/event-stream', encoding: SSE_ENCODING, renderPosition },
  'named-events': { mediaType: 'text/event-stream', encoding: NAMED_SSE_ENCODING, renderPosition },
} as const satisfies Record<string, StreamFormat>

export type StreamKind = keyof typeof STREAM_FORMATS

export function isStreamKind(kind: string): kind is StreamKind {
  return Object.hasOwn(STREAM_FORMATS, kind)
}
