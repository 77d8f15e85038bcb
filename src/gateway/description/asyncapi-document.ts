import type { AsyncPart } from './asyncapi-parts.ts'
import { SESSION_PART } from './asyncapi-session.ts'
import { STREAMS_PART } from './asyncapi-streams.ts'
import { ZMQ_PART } from './asyncapi-zmq.ts'
import { MESSAGE_SCHEMAS } from './component-schemas.ts'
import type { DescriptionContext } from './openapi-document.ts'

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A token, `dbk_...`.' },
  basic: { type: 'http', scheme: 'basic', description: 'The token as password.' },
  token: { type: 'httpApiKey', in: 'header', name: 'X-Broker-Token', description: 'A token.' },
  ticket: {
    type: 'httpApiKey',
    in: 'query',
    name: 'ticket',
    description: 'Of `POST /auth/tickets`, for browsers.',
  },
  subprotocol: {
    type: 'httpApiKey',
    in: 'header',
    name: 'Sec-WebSocket-Protocol',
    description: '`bearer.<base64url of the token>`, offered beside a real one.',
  },
  plain: { type: 'plain', description: 'PLAIN: the user, and a token as password.' },
} as const

const PARTS: readonly AsyncPart[] = [SESSION_PART, STREAMS_PART, ZMQ_PART]

/** What is sent and told over WebSocket, streams and ZeroMQ. @see AsyncAPI 3.0.0 */
export function asyncApiDocument({ version, publicUrl }: DescriptionContext) {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Data Broker',
      version,
      description:
        'Events over WebSocket, server-sent events, NDJSON and ZeroMQ: the same bytes by every door. HTTP is described in /openapi.json.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    servers: servers(publicUrl),
    channels: Object.assign({}, ...PARTS.map(({ channels }) => channels)),
    operations: Object.assign({}, ...PARTS.map(({ operations }) => operations)),
    components: { schemas: MESSAGE_SCHEMAS, securitySchemes: SECURITY_SCHEMES },
  }
}

function servers(publicUrl: string) {
  const base = URL.canParse(publicUrl) ? new URL(publicUrl) : new URL('http://localhost')
  const { host, hostname, pathname } = base
  const secured = base.protocol === 'https:' ? 's' : ''
  const prefix = pathname === '/' ? {} : { pathname: pathname.replace(/\/$/, '') }
  const credentials = ['bearer', 'token', 'basic', 'ticket']
  return {
    http: { host, ...prefix, protocol: `http${secured}`, security: refs(credentials) },
    websocket: {
      host,
      ...prefix,
      protocol: `ws${secured}`,
      description: 'On /ws the first message may authenticate too.',
      security: refs([...credentials, 'subprotocol']),
    },
    zmqSubscribe: {
      ...zmqHost(hostname, '5556'),
      description: 'For SUB sockets.',
      security: refs(['plain']),
      'x-zmq': { socket: 'XPUB', peers: ['SUB'], mechanisms: ['PLAIN', 'CURVE'] },
    },
    zmqSession: {
      ...zmqHost(hostname, '5557'),
      description: 'For REQ and DEALER sockets; every command carries its token.',
      'x-zmq': { socket: 'ROUTER', peers: ['REQ', 'DEALER'], mechanisms: ['NULL', 'CURVE'] },
    },
  }
}

/** The endpoints of ZeroMQ are told by nobody: the ports are the default ones. */
function zmqHost(hostname: string, port: string) {
  return {
    host: '{hostname}:{port}',
    protocol: 'zmq',
    variables: { hostname: { default: hostname }, port: { default: port } },
  }
}

function refs(names: readonly string[]) {
  return names.map((name) => ({ $ref: `#/components/securitySchemes/${name}` }))
}
