import { isUtf8 } from 'node:buffer'
import { parseSince, type Since } from '../../protocol/position.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import { parseTopic, type Topic } from '../../protocol/topic.ts'
import { parseTopicFilter, type TopicFilter } from '../../protocol/topic-filter.ts'
import { type EventInput, messageOf } from '../publish/event-input.ts'

/** A command of a REQ or DEALER socket, checked. An empty token stands for anonymous. */
export type ZmqCommand =
  | {
      readonly verb: 'PUBLISH'
      readonly token: string
      readonly topic: Topic
      readonly input: EventInput
    }
  | {
      readonly verb: 'SUBSCRIBE'
      readonly token: string
      readonly filter: TopicFilter
      readonly since: Since
    }
  | { readonly verb: 'UNSUBSCRIBE'; readonly token: string; readonly filter: TopicFilter }
  | { readonly verb: 'PING' }

/** What a peer sent, without the empty frame that REQ puts before it. */
export interface ZmqEnvelope {
  /** The reply gets an empty frame before it too. */
  readonly isRequest: boolean
  readonly frames: readonly Buffer[]
}

const MAX_VERB_BYTES = 32
const MAX_TOKEN_BYTES = 512

/** Members of a CloudEvent that are its content, not attributes of it. */
const CONTENT = new Set(['data', 'data_base64'])

export function openEnvelope(frames: readonly Buffer[]): ZmqEnvelope {
  const isRequest = frames.length > 1 && frames[0]?.length === 0
  return { isRequest, frames: isRequest ? frames.slice(1) : frames }
}

/**
 * Reads a command:
 *
 *     PUBLISH      token  topic   payload  [attributes]
 *     SUBSCRIBE    token  filter  [since]
 *     UNSUBSCRIBE  token  filter
 *     PING
 *
 * @throws {BrokerError} `COMMAND_INVALID`, `TOPIC_INVALID`, `FILTER_INVALID`, `POSITION_INVALID`,
 *   `JSON_INVALID`, `EVENT_INVALID`
 */
export function readZmqCommand({ frames, isRequest }: ZmqEnvelope): ZmqCommand {
  const [first, token, name, last, attributes] = frames
  const verb = first === undefined || first.length > MAX_VERB_BYTES ? '' : first.toString()
  switch (verb) {
    case 'PUBLISH':
      checkCount(frames, 4, 5)
      return {
        verb,
        token: readToken(token),
        topic: readTopic(name),
        input: readInput(last ?? EMPTY, attributes),
      }
    case 'SUBSCRIBE':
      checkDealer(isRequest, verb)
      checkCount(frames, 3, 4)
      return {
        verb,
        token: readToken(token),
        filter: readFilter(name),
        since: readSince(last),
      }
    case 'UNSUBSCRIBE':
      checkDealer(isRequest, verb)
      checkCount(frames, 3, 3)
      return { verb, token: readToken(token), filter: readFilter(name) }
    case 'PING':
      checkCount(frames, 1, 1)
      return { verb }
    default:
      throw new BrokerError('COMMAND_INVALID', 'the first frame is no command')
  }
}

const EMPTY = Buffer.alloc(0)

function checkCount(frames: readonly Buffer[], least: number, most: number): void {
  if (frames.length >= least && frames.length <= most) return
  const count = least === most ? `${least}` : `${least} or ${most}`
  throw new BrokerError('COMMAND_INVALID', `this command has ${count} frames`)
}

/** REQ takes one reply to one command and could never be told an event. */
function checkDealer(isRequest: boolean, verb: string): void {
  if (!isRequest) return
  throw new BrokerError(
    'COMMAND_INVALID',
    `${verb} needs a DEALER socket without empty first frame`,
  )
}

function readToken(frame: Buffer = EMPTY): string {
  if (frame.length > MAX_TOKEN_BYTES) {
    throw new BrokerError('COMMAND_INVALID', `a token has at most ${MAX_TOKEN_BYTES} bytes`)
  }
  return text(frame, 'COMMAND_INVALID', 'the token')
}

function readTopic(frame: Buffer = EMPTY): Topic {
  const topic = parseTopic(text(frame, 'TOPIC_INVALID', 'the topic'))
  if (!topic.ok) throw new BrokerError('TOPIC_INVALID', topic.error)
  return topic.value
}

function readFilter(frame: Buffer = EMPTY): TopicFilter {
  const filter = parseTopicFilter(text(frame, 'FILTER_INVALID', 'the filter'))
  if (!filter.ok) throw new BrokerError('FILTER_INVALID', filter.error)
  return filter.value
}

function readSince(frame: Buffer = EMPTY): Since {
  if (frame.length === 0) return 'latest'
  const since = parseSince(text(frame, 'POSITION_INVALID', 'since'))
  if (!since.ok) throw new BrokerError('POSITION_INVALID', since.error)
  return since.value
}

/** A declared type decides as it does over HTTP. */
function readInput(payload: Buffer, frame: Buffer = EMPTY): EventInput {
  const attributes = readAttributes(frame)
  return messageOf(attributes, attributes['datacontenttype'], payload)
}

function readAttributes(frame: Buffer): Record<string, string> {
  if (frame.length === 0) return {}
  const value = parseJson(text(frame, 'JSON_INVALID', 'the attributes'))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BrokerError('EVENT_INVALID', 'the attributes are a JSON object')
  }
  return Object.fromEntries(Object.entries(value).map(readAttribute))
}

function readAttribute([name, value]: [string, unknown]): [string, string] {
  if (CONTENT.has(name)) {
    throw new BrokerError('EVENT_INVALID', `${name} is told by the payload, not by an attribute`)
  }
  if (typeof value !== 'string') {
    throw new BrokerError('EVENT_INVALID', 'the value of an attribute is a string')
  }
  return [name, value]
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new BrokerError('JSON_INVALID', 'the attributes are not valid JSON', { cause })
  }
}

function text(frame: Buffer, code: ProblemCode, what: string): string {
  if (!isUtf8(frame)) throw new BrokerError(code, `${what} is not valid UTF-8`)
  return frame.toString('utf8')
}
