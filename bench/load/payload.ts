/**
 * A payload that says who sent it, as which one, and when, in JSON of exactly `bytes` bytes:
 *
 *     {"p":"0","n":"0000000123","t":"000001234567.890","pad":"xxxx"}
 */
export function payloadOf(
  { publisher, number, sentMs = 0 }: { publisher: number; number: number; sentMs?: number },
  bytes: number,
): string {
  const head = `{"p":"${publisher}","n":"${String(number).padStart(10, '0')}","t":"${sentMs.toFixed(3).padStart(16, '0')}","pad":"`
  return `${head}${'x'.repeat(bytes - head.length - 2)}"}`
}

export const MARKER = Buffer.from('{"p":"')
const PUBLISHER_AT = MARKER.length
const NUMBER_AT = PUBLISHER_AT + '0","n":"'.length
const TIME_AT = NUMBER_AT + '0000000000","t":"'.length

/** Reads payloads where they lie; `at` is the index of the marker. */
export function publisherAt(bytes: Buffer, at: number): number {
  return digits(bytes, at + PUBLISHER_AT, 1)
}

export function numberAt(bytes: Buffer, at: number): number {
  return digits(bytes, at + NUMBER_AT, 10)
}

export function sentMsAt(bytes: Buffer, at: number): number {
  return digits(bytes, at + TIME_AT, 12) + digits(bytes, at + TIME_AT + 13, 3) / 1000
}

function digits(bytes: Buffer, at: number, count: number): number {
  let value = 0
  for (let i = at; i < at + count; i += 1) value = value * 10 + (bytes[i] ?? 0) - 48
  return value
}
