import Type, { type TProperties } from 'typebox'
import { COMMAND_ID } from '../../events/websocket/websocket-command.ts'
import { SESSION_PROTOCOL } from '../../events/websocket/websocket-session.ts'
import { schemaRef } from './schema-ref.ts'

/** The messages of `broker.v1.json`. What is read of a command is in `websocket-command.ts`. */

export const CommandId = COMMAND_ID

function command(op: string, fields: TProperties, options = {}) {
  return Type.Object({ op: Type.Literal(op), id: schemaRef('CommandId'), ...fields }, options)
}

/** JSON Schema words of TypeBox objects of which one member or the other must be there. */
function oneOf(...names: readonly string[]) {
  return { oneOf: names.map((name) => ({ required: [name] })) }
}

const FILTERS = {
  filter: Type.Optional(schemaRef('TopicFilter')),
  filters: Type.Optional(Type.Array(schemaRef('TopicFilter'), { minItems: 1, maxItems: 128 })),
}

export const AuthCommand = command('auth', {
  token: Type.String({ minLength: 1, maxLength: 512 }),
})

export const SubscribeCommand = command(
  'subscribe',
  { ...FILTERS, since: Type.Optional(schemaRef('Since')) },
  oneOf('filter', 'filters'),
)

export const UnsubscribeCommand = command('unsubscribe', FILTERS, oneOf('filter', 'filters'))

export const PublishCommand = command(
  'publish',
  {
    topic: Type.Optional(schemaRef('Topic')),
    type: Type.Optional(Type.String({ description: 'Of an event that is given by `data`.' })),
    event: Type.Optional(schemaRef('NewEvent')),
    data: Type.Optional(Type.Unknown()),
  },
  oneOf('event', 'data'),
)

export const PingCommand = command('ping', {})

const position = schemaRef('Position')

export const AuthReply = command('ok', {
  user: Type.String(),
  expires: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
})

export const SubscribeReply = command('ok', {
  position,
  recovered: Type.Boolean({ description: 'False when something after `since` is no longer kept.' }),
})

export const UnsubscribeReply = command('ok', {})

export const PublishReply = command('ok', {
  eventId: Type.String(),
  position,
  duplicate: Type.Boolean(),
})

export const PingReply = command('ok', { position })

export const ErrorReply = command('error', { problem: schemaRef('Problem') })

export const WelcomeNotice = Type.Object({
  op: Type.Literal('welcome'),
  protocol: Type.Literal(SESSION_PROTOCOL),
  user: Type.Union([Type.String(), Type.Null()]),
  position: Type.Optional(position),
  pingIntervalMs: Type.Integer({ minimum: 1 }),
})

export const PositionNotice = Type.Object({ op: Type.Literal('position'), position })

export const ExpiringNotice = Type.Object({ op: Type.Literal('expiring'), inMs: Type.Number() })

export const ClosingNotice = Type.Object({
  op: Type.Literal('closing'),
  reason: Type.String(),
  retryAfterMs: Type.Number({ minimum: 0 }),
})
