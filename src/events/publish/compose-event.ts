import { BrokerError } from '../../protocol/problem.ts'
import { isReservedTopic, parseTopic, type Topic } from '../../protocol/topic.ts'
import type { EventDraft } from '../log/event-log.ts'
import { attributeFault, isAttributeName } from './event-attributes.ts'
import type { EventInput, MessageEvent, StructuredEvent } from './event-input.ts'
import { membersOf, withoutMembers } from './json-members.ts'

/** What the broker knows about a publish and the publisher does not say. */
export interface PublishContext {
  /** The topic of the route; undefined where events carry their own. */
  readonly topic: Topic | undefined
  /** Null for anonymous. */
  readonly user: string | null
  /** ISO 8601 with milliseconds. */
  readonly now: string
  newId(): string
  /** Replaces `source` and `id` as what makes two publishes the same. */
  readonly idempotencyKey?: string | undefined
}

/** Attributes that the broker sets: what a received event brings of them is replaced. */
const REPLACED = new Set(['position', 'authtype', 'authid', 'topic'])

/**
 * Turns what a publisher sent into an event that lacks only its position. The publisher's JSON keeps its
 * bytes, large numbers and key order included; only line breaks between tokens become spaces.
 *
 * @throws {BrokerError} `EVENT_INVALID`, `JSON_INVALID`, `TOPIC_INVALID`, `TOPIC_RESERVED`
 */
export function composeEvent(input: EventInput, context: PublishContext): EventDraft {
  return input.kind === 'structured'
    ? composeStructured(input, context)
    : composeMessage(input, context)
}

function composeStructured({ text }: StructuredEvent, context: PublishContext): EventDraft {
  const event = parseObject(text)
  const members = membersOf(text)
  if (new Set(members.map(({ key }) => key)).size !== members.length) {
    throw new BrokerError('EVENT_INVALID', 'an attribute is given twice')
  }
  const missing = ['specversion', 'type'].find((name) => event[name] === undefined)
  if (missing !== undefined)
    throw new BrokerError('EVENT_INVALID', `attribute ${missing} is missing`)
  checkAttributes(event)
  const topic = topicOf(event['topic'], context)
  const given = identityOf(event, context)
  // Null is absent: it is left out below like what the broker replaces.
  const added = {
    ...(event['id'] == null && { id: given.id }),
    ...(event['source'] == null && { source: given.source }),
    ...(event['time'] == null && { time: context.now }),
  }
  const kept = withoutMembers(
    text,
    members,
    ({ key }) => REPLACED.has(key) || (key !== 'data' && event[key] === null),
  )
  const open = oneLine(kept).trimEnd().slice(0, -1).trimEnd()
  return finish(`${open}${listed(added)}`, { ...given, topic }, context)
}

function composeMessage({ attributes, data }: MessageEvent, context: PublishContext): EventDraft {
  checkAttributes(attributes)
  const topic = topicOf(attributes['topic'], context)
  const given = identityOf(attributes, context)
  const head: Record<string, string> = {
    specversion: '1.0',
    id: given.id,
    source: given.source,
    type: attributes['type'] ?? 'message',
    time: attributes['time'] ?? context.now,
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (!Object.hasOwn(head, name) && !REPLACED.has(name)) head[name] = value
  }
  return finish(
    `${JSON.stringify(head).slice(0, -1)}${dataMember(data)}`,
    { ...given, topic },
    context,
  )
}

/** An event of the broker itself: a file change, a gap. */
export function composeOwnEvent(event: {
  readonly topic: Topic
  readonly type: string
  readonly source: string
  readonly subject?: string
  readonly id: string
  readonly time: string
  readonly data: unknown
}): EventDraft {
  const { topic, data, ...attributes } = event
  const head = {
    specversion: '1.0',
    ...attributes,
    datacontenttype: 'application/json',
    data,
    topic,
  }
  const json = `${JSON.stringify({ ...head, authtype: 'system' }).slice(0, -1)}`
  return { topic, id: event.id, json, user: null }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new BrokerError('JSON_INVALID', 'the event is not valid JSON', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BrokerError('EVENT_INVALID', 'a CloudEvent is a JSON object')
  }
  return value as Record<string, unknown>
}

function checkAttributes(event: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(event)) {
    if (name === 'data') continue
    const fault = isAttributeName(name) ? attributeFault(name, value) : 'is no attribute name'
    if (fault !== undefined) throw new BrokerError('EVENT_INVALID', `attribute ${name} ${fault}`)
  }
  if (event['data'] !== undefined && event['data_base64'] !== undefined) {
    throw new BrokerError('EVENT_INVALID', 'an event has data or data_base64, not both')
  }
}

function topicOf(given: unknown, { topic }: PublishContext): Topic {
  if (given === undefined || given === null) {
    if (topic === undefined) throw new BrokerError('EVENT_INVALID', 'the event has no topic')
    return topic
  }
  const parsed = parseTopic(String(given))
  if (!parsed.ok) throw new BrokerError('TOPIC_INVALID', parsed.error)
  if (topic !== undefined && parsed.value !== topic) {
    throw new BrokerError('EVENT_INVALID', 'the topic of the event is not that of the request')
  }
  return parsed.value
}

interface Identity {
  readonly id: string
  readonly source: string
  /** What makes two publishes the same; undefined when the broker chose the id. */
  readonly identity?: string
}

function identityOf(event: Readonly<Record<string, unknown>>, context: PublishContext): Identity {
  const id = typeof event['id'] === 'string' ? event['id'] : context.newId()
  const defaultSource = context.user === null ? '/anonymous' : `/users/${context.user}`
  const source = typeof event['source'] === 'string' ? event['source'] : defaultSource
  if (source.startsWith('/broker')) {
    throw new BrokerError(
      'TOPIC_RESERVED',
      'sources that begin with /broker are the broker\u2019s own',
    )
  }
  if (context.idempotencyKey !== undefined) {
    return { id, source, identity: `key\n${context.idempotencyKey}` }
  }
  return typeof event['id'] === 'string'
    ? { id, source, identity: `${source}\n${id}` }
    : { id, source }
}

function finish(
  open: string,
  event: Identity & { readonly topic: Topic },
  { user }: PublishContext,
): EventDraft {
  const { topic, id, identity } = event
  if (isReservedTopic(topic)) {
    throw new BrokerError(
      'TOPIC_RESERVED',
      'topics under files/ and broker/ are the broker\u2019s own',
    )
  }
  const author =
    user === null
      ? '"authtype":"unauthenticated"'
      : `"authtype":"user","authid":${JSON.stringify(user)}`
  return {
    topic,
    id,
    user,
    json: `${open},"topic":${JSON.stringify(topic)},${author}`,
    ...(identity !== undefined && { identity: `${user ?? ''}\n${identity}` }),
  }
}

function dataMember(data: MessageEvent['data']): string {
  if (data === undefined) return ''
  if ('json' in data) return `,"data":${oneLine(data.json).trim()}`
  if ('text' in data) return `,"data":${JSON.stringify(data.text)}`
  return `,"data_base64":"${data.base64}"`
}

function listed(members: Readonly<Record<string, string>>): string {
  return Object.entries(members)
    .map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`)
    .join('')
}

/** In valid JSON a raw line feed or carriage return stands between tokens only. */
function oneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replaceAll(/[\r\n]/g, ' ') : json
}
