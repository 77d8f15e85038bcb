import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseSince, type Since } from '../../protocol/position.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseTopic, type Topic } from '../../protocol/topic.ts'
import { parseTopicFilter, type TopicFilter } from '../../protocol/topic-filter.ts'
import type { EventInput } from '../publish/event-input.ts'
import { membersOf } from '../publish/json-members.ts'

/** What makes a reply the reply to a command. */
export type CommandId = string | number

/** A command of `broker.v1.json`, checked. */
export type Command =
  | { readonly op: 'auth'; readonly id: CommandId; readonly token: string }
  | {
      readonly op: 'subscribe'
      readonly id: CommandId
      readonly filters: readonly TopicFilter[]
      readonly since: Since
    }
  | { readonly op: 'unsubscribe'; readonly id: CommandId; readonly filters: readonly TopicFilter[] }
  | {
      readonly op: 'publish'
      readonly id: CommandId
      readonly topic: Topic | undefined
      readonly input: EventInput
    }
  | { readonly op: 'ping'; readonly id: CommandId }

/** A number that comes back in the reply as it was sent. */
const SAFE_INTEGER = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }

/** The schema of `CommandId`. */
export const COMMAND_ID = Type.Union([
  Type.String({ minLength: 1, maxLength: 128 }),
  Type.Integer(SAFE_INTEGER),
])

const Envelope = Type.Object({
  op: Type.String(),
  id: COMMAND_ID,
})

const FILTERS = {
  filter: Type.Optional(Type.String()),
  filters: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
}

const Auth = Type.Object({ token: Type.String({ minLength: 1, maxLength: 512 }) })
const Subscribe = Type.Object({ ...FILTERS, since: Type.Optional(Type.String()) })
const Unsubscribe = Type.Object(FILTERS)
const Publish = Type.Object({
  topic: Type.Optional(Type.String()),
  type: Type.Optional(Type.String()),
})

const isEnvelope = Compile(Envelope)
const isAuth = Compile(Auth)
const isSubscribe = Compile(Subscribe)
const isUnsubscribe = Compile(Unsubscribe)
const isPublish = Compile(Publish)

/** A message that cannot be answered, because it has no id that is one. */
export class ProtocolFault extends Error {
  override readonly name = 'ProtocolFault'
}

/** A message that is answered with a problem. */
export class CommandFault extends Error {
  override readonly name = 'CommandFault'
  readonly id: CommandId
  override readonly cause: BrokerError

  constructor(id: CommandId, cause: BrokerError) {
    super(cause.message)
    this.id = id
    this.cause = cause
  }
}

/**
 * @param text - one message as received
 * @throws {ProtocolFault} when it is no JSON object with `op` and `id`
 * @throws {CommandFault} `COMMAND_INVALID`, `FILTER_INVALID`, `TOPIC_INVALID`, `POSITION_INVALID`
 */
export function readCommand(text: string): Command {
  const message = parse(text)
  if (!isEnvelope.Check(message)) {
    throw new ProtocolFault('a command is a JSON object with op and id')
  }
  try {
    return readBody(message, text)
  } catch (error) {
    throw error instanceof BrokerError ? new CommandFault(message.id, error) : error
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ProtocolFault('a message is JSON', { cause })
  }
}

function readBody(message: Static<typeof Envelope>, text: string): Command {
  const { op, id } = message
  switch (op) {
    case 'auth':
      if (isAuth.Check(message)) return { op, id, token: message.token }
      break
    case 'subscribe':
      if (isSubscribe.Check(message)) {
        return { op, id, filters: readFilters(message), since: readSince(message.since) }
      }
      break
    case 'unsubscribe':
      if (isUnsubscribe.Check(message)) return { op, id, filters: readFilters(message) }
      break
    case 'publish':
      if (isPublish.Check(message)) {
        return { op, id, topic: readTopic(message.topic), input: readInput(text, message.type) }
      }
      break
    case 'ping':
      return { op, id }
    default:
      throw new BrokerError('COMMAND_INVALID', `no command ${JSON.stringify(op.slice(0, 40))}`)
  }
  throw new BrokerError('COMMAND_INVALID', `the fields of ${op} are not those of the protocol`)
}

function readFilters({
  filter: single,
  filters,
}: {
  filter?: string | undefined
  filters?: string[] | undefined
}): TopicFilter[] {
  const texts = single === undefined ? filters : filters === undefined ? [single] : undefined
  if (texts === undefined) {
    throw new BrokerError('COMMAND_INVALID', 'one of filter and filters is needed, not both')
  }
  return [...new Set(texts)].map((text) => {
    const filter = parseTopicFilter(text)
    if (!filter.ok) throw new BrokerError('FILTER_INVALID', filter.error)
    return filter.value
  })
}

function readSince(text: string | undefined): Since {
  if (text === undefined || text === '') return 'latest'
  const since = parseSince(text)
  if (!since.ok) throw new BrokerError('POSITION_INVALID', since.error)
  return since.value
}

function readTopic(text: string | undefined): Topic | undefined {
  if (text === undefined) return undefined
  const topic = parseTopic(text)
  if (!topic.ok) throw new BrokerError('TOPIC_INVALID', topic.error)
  return topic.value
}

/** Takes `event` or `data` out of the text as it stands: numbers keep their digits. */
function readInput(text: string, type: string | undefined): EventInput {
  const members = membersOf(text).filter(({ key }) => key === 'event' || key === 'data')
  const [only] = members
  if (only === undefined || members.length > 1) {
    throw new BrokerError('COMMAND_INVALID', 'publish has event or data')
  }
  const raw = text.slice(only.valueStart, only.end)
  if (only.key === 'event') return { kind: 'structured', text: raw }
  const attributes = { ...(type !== undefined && { type }), datacontenttype: 'application/json' }
  return { kind: 'message', attributes, data: { json: raw } }
}
