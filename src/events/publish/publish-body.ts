import { BrokerError } from '../../protocol/problem.ts'
import { type EventInput, messageOf, utf8Text } from './event-input.ts'
import { elementsOf } from './json-members.ts'

/** Most events of one request. */
export const MAX_BATCH_EVENTS = 10_000

/** Largest body of a request with many events. */
export const MAX_BATCH_BYTES = 16 * 1024 * 1024

/** What the body of a publish holds; `isBatch` decides whether the answer is an array. */
export interface PublishBody {
  readonly isBatch: boolean
  readonly inputs: readonly EventInput[]
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/**
 * Reads the body of `POST /events` by its Content-Type. The batch format is asked for first, since its
 * name begins like that of the structured one (CloudEvents HTTP binding, section 3).
 *
 * @throws {BrokerError} `EVENT_INVALID`, `JSON_INVALID`, `TOO_LARGE`; of a batch with `index`
 */
export function readPublishBody(headers: Headers, body: Buffer): PublishBody {
  const mediaType = mediaTypeOf(headers)
  if (mediaType === 'application/cloudevents-batch+json') return batch(readJsonBatch(body))
  if (mediaType === 'application/x-ndjson') return batch(readLines(headers, body))
  if (mediaType.startsWith('application/cloudevents')) {
    if (mediaType !== 'application/cloudevents+json') {
      throw new BrokerError('MEDIA_TYPE_UNSUPPORTED', `no CloudEvents format ${mediaType}`)
    }
    return single({ kind: 'structured', text: utf8Text(body, 'JSON_INVALID') })
  }
  return single(isBinaryMode(headers) ? readBinary(headers, body) : readMessage(headers, body))
}

function single(input: EventInput): PublishBody {
  return { isBatch: false, inputs: [input] }
}

function batch(inputs: readonly EventInput[]): PublishBody {
  return { isBatch: true, inputs }
}

function readJsonBatch(body: Buffer): EventInput[] {
  const text = batchText(body)
  let values: unknown
  try {
    values = JSON.parse(text)
  } catch (cause) {
    throw new BrokerError('JSON_INVALID', 'the batch is not valid JSON', { cause })
  }
  if (!Array.isArray(values)) throw new BrokerError('EVENT_INVALID', 'a batch is a JSON array')
  checkCount(values.length)
  return elementsOf(text).map((element) => ({ kind: 'structured', text: element }))
}

function readLines(headers: Headers, body: Buffer): EventInput[] {
  const lines = batchText(body)
    .split('\n')
    .filter((line) => line.trim() !== '')
  checkCount(lines.length)
  const type = headerText(headers, 'x-event-type')
  const attributes = { ...(type !== undefined && { type }), datacontenttype: 'application/json' }
  return lines.map((text, index) => {
    if (isCloudEvent(text, index)) return { kind: 'structured', text }
    return { kind: 'message', attributes, data: { json: text } }
  })
}

function isCloudEvent(line: string, index: number): boolean {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && Object.hasOwn(value, 'specversion')
  } catch (cause) {
    const fields = { index }
    throw new BrokerError('JSON_INVALID', `line ${index + 1} is not valid JSON`, { cause, fields })
  }
}

/** Binary mode: attributes in `ce-*` headers, the body is the data. @see CloudEvents HTTP binding 3.1 */
function readBinary(headers: Headers, body: Buffer): EventInput {
  const attributes: Record<string, string> = Object.create(null)
  for (const name of Object.keys(headers)) {
    if (name.startsWith('ce-'))
      attributes[name.slice(3)] = percentDecoded(headerText(headers, name) ?? '')
  }
  if (attributes['datacontenttype'] !== undefined) {
    throw new BrokerError(
      'EVENT_INVALID',
      'datacontenttype is told by Content-Type, not by a ce- header',
    )
  }
  if (attributes['data'] !== undefined || attributes['data_base64'] !== undefined) {
    throw new BrokerError('EVENT_INVALID', 'the data is told by the body, not by a ce- header')
  }
  const missing = ['specversion', 'type'].find((name) => attributes[name] === undefined)
  if (missing !== undefined)
    throw new BrokerError('EVENT_INVALID', `header ce-${missing} is missing`)
  return messageOf(attributes, header(headers, 'content-type'), body)
}

function readMessage(headers: Headers, body: Buffer): EventInput {
  const type = headerText(headers, 'x-event-type')
  const contentType = header(headers, 'content-type')
  const attributes: Record<string, string> = type === undefined ? {} : { type }
  // curl sends the form type with -d unless it is told otherwise.
  const isUnstated =
    contentType === undefined || /^application\/x-www-form-urlencoded/i.test(contentType)
  return messageOf(attributes, isUnstated ? undefined : contentType, body)
}

function batchText(body: Buffer): string {
  if (body.length > MAX_BATCH_BYTES) {
    throw new BrokerError('TOO_LARGE', `a batch holds at most ${MAX_BATCH_BYTES} bytes`)
  }
  return utf8Text(body, 'JSON_INVALID')
}

function checkCount(count: number): void {
  if (count > MAX_BATCH_EVENTS) {
    throw new BrokerError('TOO_LARGE', `a batch holds at most ${MAX_BATCH_EVENTS} events`)
  }
}

function isBinaryMode(headers: Headers): boolean {
  return ['ce-specversion', 'ce-id', 'ce-type', 'ce-source'].some(
    (name) => headers[name] !== undefined,
  )
}

function mediaTypeOf(headers: Headers): string {
  return (header(headers, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

function header(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Node reads header fields as Latin-1; what shells and scripts put there raw is UTF-8. */
function headerText(headers: Headers, name: string): string | undefined {
  const value = header(headers, name)
  if (value === undefined || /^[\x20-\x7e]*$/.test(value)) return value
  return utf8Text(Buffer.from(value, 'latin1'), 'EVENT_INVALID', `the header ${name}`)
}

/**
 * Header values carry what is not printable ASCII percent-encoded, once; as a whole they may be quoted.
 *
 * @see CloudEvents HTTP binding, section 3.1.3.2
 */
function percentDecoded(value: string): string {
  const isQuoted = /^"(?:[^"\\]|\\.)*"$/.test(value)
  const unquoted = isQuoted ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value
  try {
    return decodeURIComponent(unquoted)
  } catch (cause) {
    throw new BrokerError('EVENT_INVALID', 'a ce- header is not percent-encoded UTF-8', { cause })
  }
}
