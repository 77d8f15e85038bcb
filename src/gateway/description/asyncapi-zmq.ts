import Type, { type TSchema } from 'typebox'
import { type AsyncPart, type Message, receives, sends, server } from './asyncapi-parts.ts'
import { schemaRef } from './schema-ref.ts'

const TOKEN = Type.String({ maxLength: 512, description: 'A token; empty for anonymous.' })
const EVENT = jsonFrame(schemaRef('Event'))

/** Both ZeroMQ endpoints. A payload is the list of frames of one message. */
export const ZMQ_PART: AsyncPart = {
  channels: {
    zmqBroadcast: {
      address: '{topic}',
      title: 'Events to SUB sockets',
      description:
        'Subscriptions are prefixes of topics. At most once: a SUB socket cannot see a loss.',
      servers: [server('zmqSubscribe')],
      parameters: { topic: { description: 'The topic of the event, the first frame.' } },
      messages: { event: frames('Topic and event', [schemaRef('Topic'), EVENT]) },
      bindings: { 'x-zmq': { serverSocket: 'XPUB', clientSockets: ['SUB'] } },
    },
    zmqSession: {
      address: null,
      title: 'Commands of REQ and DEALER sockets',
      description:
        'The first frame is the verb; the empty frame that REQ puts before it is mirrored. Commands of a peer are answered in order. A subscription ends with its connection, and with a peer that sends nothing for 30 seconds.',
      servers: [server('zmqSession')],
      messages: sessionMessages(),
      bindings: { 'x-zmq': { serverSocket: 'ROUTER', clientSockets: ['REQ', 'DEALER'] } },
    },
  },
  operations: {
    zmqTell: sends('zmqBroadcast', 'Tells every event of the filter of the endpoint.', ['event']),
    zmqPublish: command('Publishes one event.', 'publish', 'published'),
    zmqSubscribe: command('Asks for events; DEALER only.', 'subscribe', 'subscribed'),
    zmqUnsubscribe: command('Asks no longer; DEALER only.', 'unsubscribe', 'unsubscribed'),
    zmqPing: command('Asks for the position and keeps the subscriptions.', 'ping', 'pong'),
    zmqTellInSession: sends('zmqSession', 'Tells events to a DEALER.', ['event']),
    zmqEnd: sends('zmqSession', 'Tells a DEALER why its subscriptions end.', ['error']),
  },
}

function sessionMessages(): Readonly<Record<string, Message>> {
  const filter = schemaRef('TopicFilter')
  const since = Type.Union([schemaRef('Since'), Type.Literal('')])
  const payload = Type.String({ description: 'JSON if it is valid JSON, else text, else bytes.' })
  const attributes = jsonFrame(
    Type.Object(
      {
        type: Type.Optional(Type.String()),
        id: Type.Optional(Type.String()),
        source: Type.Optional(Type.String()),
        datacontenttype: Type.Optional(Type.String()),
      },
      { additionalProperties: Type.String() },
    ),
  )
  const subscribed = Type.Object({ position: schemaRef('Position'), recovered: Type.Boolean() })
  const alive = Type.Object({
    position: schemaRef('Position'),
    subscribed: Type.Boolean({
      description:
        'Whether this connection has subscriptions. Where it has none, the position is that of the log.',
    }),
  })
  return {
    publish: frames('PUBLISH', ['PUBLISH', TOKEN, schemaRef('Topic'), payload, attributes], 4),
    published: frames('Published', ['OK', jsonFrame(schemaRef('Receipt'))]),
    subscribe: frames('SUBSCRIBE', ['SUBSCRIBE', TOKEN, filter, since], 3),
    subscribed: frames('Subscribed', ['OK', jsonFrame(subscribed)]),
    unsubscribe: frames('UNSUBSCRIBE', ['UNSUBSCRIBE', TOKEN, filter]),
    unsubscribed: frames('Unsubscribed', ['OK', jsonFrame(Type.Object({}))]),
    ping: frames('PING', ['PING']),
    pong: frames('PONG', ['PONG', jsonFrame(alive)]),
    error: frames('ERROR', ['ERROR', jsonFrame(schemaRef('Problem'))]),
    event: frames('EVENT', ['EVENT', schemaRef('Topic'), EVENT]),
  }
}

function command(summary: string, name: string, reply: string) {
  return receives('zmqSession', summary, name, [reply, 'error'])
}

/** @param least - how many of the frames must be there */
function frames(
  title: string,
  given: readonly (string | TSchema)[],
  least = given.length,
): Message {
  const items = given.map((frame) => (typeof frame === 'string' ? Type.Literal(frame) : frame))
  return {
    title,
    contentType: 'application/octet-stream',
    payload: { ...Type.Tuple(items), minItems: least },
  }
}

/** A frame that holds a JSON document. */
function jsonFrame(schema: TSchema): TSchema {
  return Type.String({ contentMediaType: 'application/json', contentSchema: schema })
}
