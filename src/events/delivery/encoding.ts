import { formatPosition } from '../../protocol/position.ts'
import type { StoredEvent } from '../log/event-log.ts'
import { frameHeaderBytes, writeFrameHeader } from './websocket-frame.ts'

/** How the events of a batch lie one behind another on a byte stream. */
export interface Encoding {
  /** Connections with the same encoding can share bytes. */
  readonly name: string
  /** @returns one buffer for the whole batch, never written to again */
  encode(events: readonly StoredEvent[], epoch: string): Buffer
}

/** One text message per event. */
export const WEBSOCKET_ENCODING: Encoding = {
  name: 'websocket',
  encode(events) {
    let size = 0
    for (const { json } of events) size += frameHeaderBytes(json.length) + json.length
    // Not from the pool: a batch may wait in many sockets and must not pin 8 KiB slabs.
    const bytes = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const { json } of events) {
      at = writeFrameHeader(bytes, at, json.length)
      at += json.copy(bytes, at)
    }
    return bytes
  },
}

/** One line per event. */
export const NDJSON_ENCODING: Encoding = {
  name: 'ndjson',
  encode: (events) => Buffer.concat(events.flatMap(({ json }) => [json, LINE_FEED])),
}

/** `id:` is the position, `data:` the event. @see HTML Living Standard, section 9.2 */
export const SSE_ENCODING: Encoding = { name: 'sse', encode: (events, epoch) => sse(events, epoch) }

/** With the type as the name of the event, for `addEventListener`. */
export const NAMED_SSE_ENCODING: Encoding = {
  name: 'sse-named',
  encode: (events, epoch) => sse(events, epoch, nameOf),
}

const LINE_FEED = Buffer.from('\n')

function sse(
  events: readonly StoredEvent[],
  epoch: string,
  name?: (event: StoredEvent) => string,
): Buffer {
  const parts = events.flatMap((event) => {
    const named = name === undefined ? '' : `event: ${name(event)}\n`
    const head = `${named}id: ${formatPosition(epoch, event.offset)}\ndata: `
    return [Buffer.from(head), event.json, LINE_FEED, LINE_FEED]
  })
  return Buffer.concat(parts)
}

function nameOf({ json }: StoredEvent): string {
  return String(JSON.parse(json.toString()).type)
}
