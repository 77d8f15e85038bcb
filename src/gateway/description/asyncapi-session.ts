import { CLOSE_CODES } from '../../protocol/close-codes.ts'
import {
  type AsyncPart,
  correlated,
  EVENT_MESSAGES,
  EVENT_NAMES,
  receives,
  sends,
  server,
} from './asyncapi-parts.ts'
import { schemaRef } from './schema-ref.ts'

const COMMANDS = ['auth', 'subscribe', 'unsubscribe', 'publish', 'ping'] as const
const NOTICES = ['welcome', 'position', 'expiring', 'closing'] as const

const SUMMARIES: Readonly<Record<(typeof COMMANDS)[number], string>> = {
  auth: 'Says who the client is, at first or to renew.',
  subscribe:
    'Asks for events. What is kept after `since` follows the reply and ends with `position`.',
  unsubscribe: 'Asks for them no longer.',
  publish: 'Publishes one event.',
  ping: 'Asks for the position.',
}

/** `/ws`: the protocol `broker.v1.json`. */
export const SESSION_PART: AsyncPart = {
  channels: {
    session: {
      address: '/ws',
      title: 'broker.v1.json',
      description:
        'JSON text messages. One with `specversion` is an event, any other has `op`. Every command carries an `id` and gets exactly one reply with it.',
      servers: [server('websocket')],
      messages: {
        ...Object.fromEntries(COMMANDS.flatMap(commandAndReply)),
        error: correlated(schemaRef('ErrorReply')),
        ...Object.fromEntries(
          NOTICES.map((name) => [name, { payload: schemaRef(`${capital(name)}Notice`) }]),
        ),
        ...EVENT_MESSAGES,
      },
      bindings: { ws: { method: 'GET', bindingVersion: '0.1.0' }, 'x-close-codes': CLOSE_CODES },
    },
  },
  operations: {
    ...Object.fromEntries(
      COMMANDS.map((name) => [
        name,
        receives('session', SUMMARIES[name], name, [`${name}Ok`, 'error']),
      ]),
    ),
    tellInSession: sends('session', 'Tells events.', EVENT_NAMES),
    notify: sends('session', 'Tells of the connection itself.', NOTICES),
  },
}

function commandAndReply(name: string) {
  return [
    [name, correlated(schemaRef(`${capital(name)}Command`))],
    [`${name}Ok`, correlated(schemaRef(`${capital(name)}Reply`))],
  ] as const
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}
