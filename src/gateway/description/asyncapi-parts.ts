import type { TSchema } from 'typebox'
import { schemaRef } from './schema-ref.ts'

/** Builders for what the parts of the AsyncAPI document have in common. */

export interface Message {
  readonly title?: string
  readonly summary?: string
  readonly contentType?: string
  readonly correlationId?: { readonly location: string }
  readonly payload: object
}

export interface Channel {
  readonly address: string | null
  readonly title: string
  readonly description: string
  readonly servers: readonly Reference[]
  readonly messages: Readonly<Record<string, Message>>
  readonly parameters?: Readonly<Record<string, { readonly description: string }>>
  readonly bindings?: object
}

export interface Reference {
  readonly $ref: string
}

export interface AsyncOperation {
  readonly action: 'send' | 'receive'
  readonly channel: Reference
  readonly summary: string
  readonly messages: readonly Reference[]
  readonly reply?: { readonly channel: Reference; readonly messages: readonly Reference[] }
}

/** One transport: its channels and what is done on them. */
export interface AsyncPart {
  readonly channels: Readonly<Record<string, Channel>>
  readonly operations: Readonly<Record<string, AsyncOperation>>
}

/** All that may come on a stream of events. */
export const EVENT_MESSAGES = {
  event: { title: 'An event', payload: schemaRef('Event') },
  fileEvent: { title: 'A change of a file', payload: schemaRef('FileEvent') },
  eventsMissed: {
    title: 'A gap before the event that follows',
    payload: schemaRef('EventsMissed'),
  },
} as const satisfies Record<string, Message>

export const EVENT_NAMES = Object.keys(EVENT_MESSAGES)

export const FILTER_PARAMETER = {
  filter: { description: 'A topic filter; each segment percent-encoded, `*` may be plain.' },
}

export function server(name: string): Reference {
  return { $ref: `#/servers/${name}` }
}

/** A payload that another message answers by its `id`. */
export function correlated(payload: TSchema): Message {
  return { payload, correlationId: { location: '$message.payload#/id' } }
}

/** What the broker sends of its own. */
export function sends(channel: string, summary: string, names: readonly string[]): AsyncOperation {
  return { action: 'send', summary, ...about(channel, names) }
}

/** A command that the broker receives, and what it may reply on the same connection. */
export function receives(
  channel: string,
  summary: string,
  command: string,
  replies: readonly string[],
): AsyncOperation {
  return {
    action: 'receive',
    summary,
    ...about(channel, [command]),
    reply: about(channel, replies),
  }
}

function about(channel: string, names: readonly string[]) {
  const $ref = `#/channels/${channel}`
  return {
    channel: { $ref },
    messages: names.map((name) => ({ $ref: `${$ref}/messages/${name}` })),
  }
}
