import { toBase64 } from '../files/base64.ts'
import { JsonText } from './json-text.ts'

/** What a publisher may say of an event; the broker fills in what is missing. */
export interface EventAttributes {
  /** Default `message`. */
  readonly type?: string | undefined
  /** Default: a random one, so that a repeated publish is seen as a duplicate. */
  readonly id?: string | undefined
  /** Default `/users/<name>`. */
  readonly source?: string | undefined
  readonly subject?: string | undefined
  /** ISO 8601. Default: now. */
  readonly time?: string | undefined
  /** Default `application/json`, for bytes `application/octet-stream`. */
  readonly datacontenttype?: string | undefined
  readonly dataschema?: string | undefined
  /** Extension attributes: lower-case letters and digits. */
  readonly [attribute: string]: unknown
}

/** An event to publish together with others. One that was received will do. */
export interface NewEvent extends EventAttributes {
  readonly topic: string
  /** Any JSON value, `JsonText`, or bytes. */
  readonly data?: unknown
}

/** The CloudEvent, with an id of its own, in the JSON that is sent. */
export function encodeEvent({ data, ...given }: NewEvent): string {
  const attributes = { specversion: '1.0', type: 'message', ...withoutUndefined(given) }
  const event = { id: randomId(), ...attributes }
  if (data instanceof Uint8Array) {
    const datacontenttype = given.datacontenttype ?? 'application/octet-stream'
    return JSON.stringify({ ...event, datacontenttype, data_base64: toBase64(data) })
  }
  const text = data instanceof JsonText ? data.text : JSON.stringify(data)
  if (text === undefined) return JSON.stringify(event)
  const datacontenttype = given.datacontenttype ?? 'application/json'
  return `${JSON.stringify({ ...event, datacontenttype }).slice(0, -1)},"data":${text}}`
}

function withoutUndefined(attributes: EventAttributes): EventAttributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

/** 128 random bits. Not `crypto.randomUUID`, which browsers have on secure pages only. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
