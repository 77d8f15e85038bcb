import { HTTP_SCHEMAS } from './component-schemas.ts'
import { BROKER_PATHS } from './openapi-broker.ts'
import { EVENTS_PATHS } from './openapi-events.ts'
import { FILES_PATHS } from './openapi-files.ts'
import { HEADERS } from './openapi-headers.ts'
import { IDENTITY_PATHS } from './openapi-identity.ts'
import { type PathItem, RESPONSES, SECURITY } from './openapi-operation.ts'
import { UPLOADS_PATHS } from './openapi-uploads.ts'

export interface DescriptionContext {
  readonly version: string
  /** Where callers reach the broker, e.g. `https://broker.example`. */
  readonly publicUrl: string
}

const TAGS = [
  { name: 'events', description: 'Transient: of value when they are sent.' },
  { name: 'files', description: 'Lasting, waiting to be collected.' },
  { name: 'identity', description: 'Who asks, and what they may.' },
  { name: 'broker', description: 'What runs here, and how it is.' },
] as const

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A token, `dbk_...`.' },
  token: { type: 'apiKey', in: 'header', name: 'X-Broker-Token', description: 'A token.' },
  basic: {
    type: 'http',
    scheme: 'basic',
    description: 'The token as password, the name of the user or `token` as user.',
  },
  certificate: { type: 'mutualTLS', description: 'A client certificate, through the front.' },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'Of `POST /auth/tickets`, for what cannot carry headers.',
  },
} as const

export const OPENAPI_PATHS: Readonly<Record<string, PathItem>> = {
  ...EVENTS_PATHS,
  ...FILES_PATHS,
  ...UPLOADS_PATHS,
  ...IDENTITY_PATHS,
  ...BROKER_PATHS,
}

/** The HTTP interface. @see OpenAPI 3.1.0 */
export function openApiDocument({ version, publicUrl }: DescriptionContext) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Data Broker',
      version,
      summary: 'A gateway through which systems exchange events and files.',
      description:
        'Errors are RFC 9457 problems with a stable `code`. WebSocket, streams and ZeroMQ are described in /asyncapi.json.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl === '' ? '/' : publicUrl }],
    tags: TAGS,
    security: SECURITY,
    paths: OPENAPI_PATHS,
    components: {
      schemas: HTTP_SCHEMAS,
      responses: RESPONSES,
      headers: HEADERS,
      securitySchemes: SECURITY_SCHEMES,
    },
  }
}
