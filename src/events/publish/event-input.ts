import { isUtf8 } from 'node:buffer'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'

/** What a publisher hands over, before the broker adds its attributes. */
export type EventInput = StructuredEvent | MessageEvent

/** A whole CloudEvent as JSON text. @see CloudEvents 1.0.2, JSON format */
export interface StructuredEvent {
  readonly kind: 'structured'
  readonly text: string
}

/** A payload and the attributes that came beside it. */
export interface MessageEvent {
  readonly kind: 'message'
  /** CloudEvents attributes as text, e.g. from `ce-*` headers: `type`, `id`, `source`, extensions. */
  readonly attributes: Readonly<Record<string, string>>
  readonly data: EventData
}

/** Raw JSON text, or text, or bytes as base64, or nothing. */
export type EventData =
  | { readonly json: string }
  | { readonly text: string }
  | { readonly base64: string }
  | undefined

/** The text of bytes that claim to be UTF-8. @throws {BrokerError} `code` when they are not */
export function utf8Text(bytes: Buffer, code: ProblemCode, what = 'the body'): string {
  if (!isUtf8(bytes)) throw new BrokerError(code, `${what} is not valid UTF-8`)
  return bytes.toString('utf8')
}

/**
 * A payload with the media type that is stated for it. JSON must be JSON; of any other type UTF-8 is text
 * and the rest bytes. With no type stated it is JSON if it is valid JSON.
 *
 * @throws {BrokerError} `JSON_INVALID`
 */
export function messageOf(
  attributes: Readonly<Record<string, string>>,
  mediaType: string | undefined,
  payload: Buffer,
): MessageEvent {
  const stated = mediaType === undefined ? {} : { datacontenttype: mediaType }
  if (payload.length === 0) {
    return { kind: 'message', attributes: { ...attributes, ...stated }, data: undefined }
  }
  const data = mediaType === undefined ? guessData(payload) : dataOf(payload, mediaType)
  return { kind: 'message', attributes: { ...attributes, ...typeOf(data), ...stated }, data }
}

type PresentData = Exclude<EventData, undefined>

function guessData(payload: Buffer): PresentData {
  if (!isUtf8(payload)) return { base64: payload.toString('base64') }
  const text = payload.toString('utf8')
  return isJson(text) ? { json: text } : { text }
}

function dataOf(payload: Buffer, mediaType: string): PresentData {
  if (/^[^;]*[/+]json\s*(;|$)/i.test(mediaType)) {
    const json = utf8Text(payload, 'JSON_INVALID')
    if (!isJson(json)) throw new BrokerError('JSON_INVALID', 'the body is not valid JSON')
    return { json }
  }
  // Under another charset the same bytes mean other characters: as base64 they stay what they are.
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(mediaType) ?? []
  const isText = /^(utf-?8|us-ascii)$/i.test(charset) && isUtf8(payload)
  return isText ? { text: payload.toString('utf8') } : { base64: payload.toString('base64') }
}

function typeOf(data: PresentData): { readonly datacontenttype: string } {
  if ('json' in data) return { datacontenttype: 'application/json' }
  return { datacontenttype: 'text' in data ? 'text/plain' : 'application/octet-stream' }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
