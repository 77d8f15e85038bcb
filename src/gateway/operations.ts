import type { FastifyInstance } from 'fastify'
import { requireGrant } from '../auth/require-grant.ts'
import { BrokerError, isProblemCode, PROBLEMS } from '../protocol/problem.ts'
import { renderHome } from './home-page.ts'
import type { Metrics } from './metrics/metrics.ts'

/** Whether one part of the broker can do its work, in words for an operator when it cannot. */
export interface ComponentState {
  readonly ready: boolean
  readonly detail?: string
}

export interface OperationsDeps {
  readonly version: string
  readonly metrics: Metrics
  /** By name: `log`, `files`, `watcher`, `zmq`, ... */
  components(): Promise<Readonly<Record<string, ComponentState>>>
}

/** Where everything is, for those who ask at `/`. */
const PLACES = {
  events: '/events',
  websocket: '/ws',
  files: '/files/',
  identity: '/auth/me',
  health: '/readyz',
  metrics: '/metrics',
  openapi: '/openapi',
  asyncapi: '/asyncapi.json',
} as const

/** `GET /`, `/livez`, `/readyz`, `/metrics` and `/problems/{code}`. */
export function installOperations(app: FastifyInstance, deps: OperationsDeps): void {
  const { version, metrics, components } = deps
  app.addHook('onResponse', (request, reply, done) => {
    metrics.observe(request.method, request.raw.url ?? '', reply.statusCode, reply.elapsedTime)
    done()
  })
  app.get('/', async (request, reply) => {
    if (request.headers.accept?.includes('text/html') !== true) {
      return { name: 'data-broker', version, ...PLACES }
    }
    const { contentSecurityPolicy, html } = renderHome(version, PLACES)
    return reply
      .header('content-security-policy', contentSecurityPolicy)
      .type('text/html')
      .send(html)
  })
  app.get('/livez', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_, reply) => {
    const states = await components()
    const isReady = Object.values(states).every(({ ready }) => ready)
    return reply
      .code(isReady ? 200 : 503)
      .send({ status: isReady ? 'ok' : 'not ready', components: states })
  })
  app.get('/metrics', async (request, reply) => {
    requireGrant(request.principal, 'observe')
    return reply.type(metrics.contentType).send(await metrics.render())
  })
  app.get('/problems/:code', async (request) => {
    const { code } = request.params as { readonly code: string }
    if (!isProblemCode(code)) throw new BrokerError('NOT_FOUND', 'there is no problem of this code')
    return { code, ...PROBLEMS[code] }
  })
}
