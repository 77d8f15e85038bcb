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
export function utf8Text(bytes: Buffer, code: ProblemCode): string {
  if (!isUtf8(bytes)) throw new BrokerError(code, 'the body is not valid UTF-8')
  return bytes.toString('utf8')
}

/** A payload of unknown kind: JSON if it is valid JSON, else UTF-8 text, else bytes. */
export function guessData(payload: Buffer): EventData {
  if (payload.length === 0) return undefined
  if (!isUtf8(payload)) return { base64: payload.toString('base64') }
  const text = payload.toString('utf8')
  return isJson(text) ? { json: text } : { text }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
