import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { idFactory } from '../events/publish/id-factory.ts'
import { webSocketOptions } from '../events/websocket/websocket-options.ts'
import { BrokerError, type ProblemCode, toProblem } from '../protocol/problem.ts'
import { prefixAddresses } from './base-path.ts'
import { PROBLEM_TYPE, sendProblem } from './problem-reply.ts'
import { BODY_TIMEOUT_MS, holdBodies } from './request-bodies.ts'
import { RouteMethods } from './route-methods.ts'

export interface HttpAppOptions {
  readonly logger: FastifyBaseLogger
  /** What the `type` of a problem begins with; made from the request when undefined. */
  readonly publicUrl: string | undefined
  readonly maxEventBytes: number
  /** For a body that is gathered before it is used. */
  readonly bodyTimeoutMs?: number
}

/** Longest time for the header fields of a request: a client that dribbles them is cut off. */
const HEADERS_TIMEOUT_MS = 10_000

/** A name or an address with a port: what goes into links and comparisons with it. @see RFC 3986 section 3.2 */
const HOST = /^(?:[\w.~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?$/

/** Files may refuse an upload, or know its content, before they ask for the body, which then streams. */
const ANSWERS_BEFORE_BODY = /^\/files(?:[/?]|$)/

/** Of every answer: what it says it is, it is; and no address of the broker, which may name a file, travels on. */
const ANSWER_HEADERS = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

/** Levels at which routine requests are logged. */
const TELLS_ROUTINE: ReadonlySet<string> = new Set(['debug', 'trace'])

/** What the front lets through, and a client certificate that it adds. */
const MAX_HEADER_BYTES = 96 * 1024

/**
 * The server without its routes: framework options, problems for every error, one log line per request.
 * Everything that Fastify or Node would answer by themselves is a problem document too. Header fields of a
 * proxy are believed: `ProxyTrust` takes away those that are not from ours.
 */
export async function createHttpApp(options: HttpAppOptions): Promise<FastifyInstance> {
  const { logger, publicUrl, maxEventBytes, bodyTimeoutMs = BODY_TIMEOUT_MS } = options
  const publicUrlOf = (request: FastifyRequest) => publicUrl ?? ownUrl(request)
  const send = (error: Error, request: FastifyRequest, reply: FastifyReply) =>
    sendProblem(error as BrokerError, request, reply, publicUrlOf(request))
  const newRequestId = idFactory()
  // Redaction, which looks at every value, is for what may hold a secret: the fields of this line do not.
  const requestLog = logger.child({}, { redact: [] })
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // One for each request, which tells its id, costs 2% of a publish: lines about a request tell it themselves.
    childLoggerFactory: (shared) => shared,
    // Whatever header fields of a proxy are still there when a request arrives come from ours.
    trustProxy: true,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id']
      return typeof given === 'string' ? given.slice(0, 64) : newRequestId()
    },
    // Bodies of any size stream for as long as they make progress.
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    forceCloseConnections: 'idle',
    // Told by a hook below, as a problem.
    return503OnClosing: false,
    routerOptions: { caseSensitive: true, maxParamLength: 8192 },
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      // By default Node looks every 30 seconds, which would make 40 of the 10.
      connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
      maxHeaderSize: MAX_HEADER_BYTES,
      // A stream for a body that cannot come is a twentieth of a small download.
      optimizeEmptyRequests: true,
      // curl offers h2c: that is a plain request here, not an upgrade.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    },
    // No hook is called for these.
    frameworkErrors: (error, request, reply) => {
      reply.header('x-request-id', request.id).headers({ ...ANSWER_HEADERS, connection: 'close' })
      send(error, request, reply)
      logRequest(requestLog, request, reply)
    },
    clientErrorHandler: (error, socket) => refuseUnparsable(error, socket as Socket, publicUrl),
  })
  app.server.on('checkContinue', (request, response) => {
    if (!ANSWERS_BEFORE_BODY.test(request.url ?? '')) response.writeContinue()
    // Through everybody who looks at requests, the one who takes forged header fields away first.
    app.server.emit('request', request, response)
  })
  app.decorateReply('problemCode', undefined)
  app.decorateRequest('publicUrl', {
    getter(this: FastifyRequest) {
      return publicUrlOf(this)
    },
  })
  app.setErrorHandler(send)
  // Ended as a line is, for whoever reads it in a terminal.
  app.setReplySerializer((answer) => `${JSON.stringify(answer)}\n`)
  if (publicUrl !== undefined) prefixAddresses(app, publicUrl)
  holdBodies(app, ANSWERS_BEFORE_BODY, bodyTimeoutMs)
  const methods = new RouteMethods()
  methods.observe(app)
  app.setNotFoundHandler((request, reply) => send(nothingHere(request, methods), request, reply))
  await app.register(websocket, {
    options: webSocketOptions(maxEventBytes),
    // The gateway drains its connections itself before it closes the server.
    preClose: (done) => done(),
  })
  let isClosing = false
  app.addHook('preClose', (done) => {
    isClosing = true
    done()
  })
  // After the plugin, whose own hook sets `request.ws`. Hooks of every request take `done`: each promise
  // among them costs as much as what they do.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).headers(ANSWER_HEADERS)
    // It came behind another one on a connection that was busy.
    if (isClosing) throw stopping()
    if (!hasOneHost(request.raw)) {
      throw new BrokerError(
        'REQUEST_INVALID',
        'the request has a Host that is none, or two of them',
      )
    }
    const { 'content-encoding': coding } = request.headers
    if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') {
      throw new BrokerError('MEDIA_TYPE_UNSUPPORTED', 'bodies are sent without a content coding')
    }
    const { routeOptions, is404 } = request
    // An upgrade that is refused ends its connection: a front that kept it would lose the next request on it.
    if (request.ws) reply.header('connection', 'close')
    const takesWebSockets = routeOptions.config?.ws === true
    if (request.ws && !takesWebSockets && !is404) {
      throw new BrokerError('UPGRADE_REQUIRED', 'no WebSocket is served at this address')
    }
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    logRequest(requestLog, request, reply)
    done()
  })
  return app
}

function stopping(): BrokerError {
  const fields = { retryAfterSeconds: 1 }
  return new BrokerError('UNAVAILABLE', 'the broker is stopping', { fields })
}

function nothingHere({ raw, method }: FastifyRequest, methods: RouteMethods): BrokerError {
  const allow = methods.of(raw.url?.split('?', 1)[0] ?? '')
  if (allow.length === 0) return new BrokerError('NOT_FOUND', 'there is nothing at this address')
  const fields = { allow }
  return new BrokerError('METHOD_NOT_ALLOWED', `${method} is not one of its methods`, { fields })
}

function ownUrl({ protocol, host }: FastifyRequest): string {
  return host === '' || !HOST.test(host) ? '' : `${protocol}://${host}`
}

/** Node takes the first of two, another reader on the way perhaps the second. @see RFC 9112 section 3.2 */
function hasOneHost({ rawHeaders, headers: { host = '' } }: IncomingMessage): boolean {
  if (!HOST.test(host)) return false
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count <= 1
}

/** The query may hold a ticket: only the path is logged. */
function logRequest(log: FastifyBaseLogger, request: FastifyRequest, reply: FastifyReply): void {
  const isRoutine = reply.statusCode < 400 && request.routeOptions.config?.isRoutine === true
  // Gathering the fields costs more than not writing them.
  if (isRoutine && !TELLS_ROUTINE.has(log.level)) return
  const fields = {
    requestId: request.id,
    event: 'http.request',
    method: request.method,
    path: request.raw.url?.split('?', 1)[0],
    status: reply.statusCode,
    code: reply.problemCode,
    durationMs: Math.round(reply.elapsedTime * 10) / 10,
    user: request.principal?.user ?? undefined,
    peer: request.ip,
  }
  log[isRoutine ? 'debug' : 'info'](fields, 'request')
}

/** Requests that the parser of Node refuses never become requests: the answer is written by hand. */
function refuseUnparsable(
  error: Error & { code?: string },
  socket: Socket,
  publicUrl: string | undefined,
): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const code: ProblemCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'HEADERS_TOO_LARGE'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'REQUEST_TIMEOUT'
        : 'REQUEST_INVALID'
  const problem = toProblem(new BrokerError(code, 'the request could not be read'), publicUrl)
  const body = JSON.stringify(problem)
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nConnection: close\r\n` +
      Object.entries(ANSWER_HEADERS)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('') +
      `Content-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
