import type { Topic } from '../../protocol/topic.ts'
import type { Encoding } from '../delivery/encoding.ts'
import type { StoredEvent } from '../log/event-log.ts'

/**
 * Events one behind another, as processes of the broker send them to each other. Big-endian:
 *
 *     float64 offset | uint16 bytes of the topic | uint32 bytes of the JSON | topic | JSON
 */
const HEADER_BYTES = 14

/** Rows are the same for everybody who is given a batch. */
export const ROWS_ENCODING: Encoding = { name: 'rows', encode: encodeRows }

export function encodeRows(events: readonly StoredEvent[]): Buffer {
  const topics = events.map(({ topic }) => Buffer.byteLength(topic))
  let size = 0
  for (const [i, { json }] of events.entries())
    size += HEADER_BYTES + (topics[i] ?? 0) + json.length
  const rows = Buffer.allocUnsafeSlow(size)
  let at = 0
  for (const [i, { offset, topic, json }] of events.entries()) {
    rows.writeDoubleBE(offset, at)
    rows.writeUInt16BE(topics[i] ?? 0, at + 8)
    rows.writeUInt32BE(json.length, at + 10)
    at += HEADER_BYTES
    at += rows.write(topic, at)
    at += json.copy(rows, at)
  }
  return rows
}

/** @param rows - whole ones, not written to afterwards: the events share their memory */
export function decodeRows(rows: Buffer): readonly StoredEvent[] {
  const events: StoredEvent[] = []
  for (let at = 0; at < rows.length; ) {
    const offset = rows.readDoubleBE(at)
    const topicEnd = at + HEADER_BYTES + rows.readUInt16BE(at + 8)
    const end = topicEnd + rows.readUInt32BE(at + 10)
    const topic = rows.toString('utf8', at + HEADER_BYTES, topicEnd) as Topic
    events.push({ offset, topic, json: rows.subarray(topicEnd, end) })
    at = end
  }
  return events
}
