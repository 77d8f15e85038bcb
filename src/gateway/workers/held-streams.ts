import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Principal } from '../../auth/principal.ts'
import { type Connection, Connections } from '../../events/delivery/connections.ts'
import { Delivery } from '../../events/delivery/delivery.ts'
import { countsOf } from '../../events/delivery/subscriber-counts.ts'
import { ChunkedBody } from '../../events/http/chunked-body.ts'
import { writeStream } from '../../events/http/http-stream.ts'
import { isStreamKind, type StreamKind } from '../../events/http/stream-format.ts'
import { readStreamRequest } from '../../events/http/stream-request.ts'
import type { Opening } from '../../events/opening.ts'
import type { Caller } from '../../events/remote/calls.ts'
import type { RemoteEventLog } from '../../events/remote/remote-event-log.ts'
import { webSocketOptions } from '../../events/websocket/websocket-options.ts'
import { type SessionServices, WebSocketSession } from '../../events/websocket/websocket-session.ts'
import { serveWebSocketStream } from '../../events/websocket/websocket-stream.ts'
import { createLogger } from '../logger.ts'
import { PrincipalReader } from './portable-principal.ts'
import type {
  OpeningMessage,
  PortablePrincipal,
  WorkerCounts,
  WorkerOptions,
} from './worker-messages.ts'

export interface HeldStreamsDeps {
  readonly log: RemoteEventLog
  readonly caller: Caller<PortablePrincipal>
  /** Told of every connection that was opened here, or was to be, and is no more. */
  readonly onClosed: (connection: number) => void
}

/** When those that are still open at the end are told to come back. */
const RETRY_AFTER_MS = 1000

/** The connections of one worker: the same streams as in one process, over a log that is elsewhere. */
export class HeldStreams {
  readonly #deps: HeldStreamsDeps
  readonly #delivery: Delivery
  readonly #connections: Connections
  readonly #server: WebSocketServer
  readonly #logger
  readonly #principals = new PrincipalReader()
  /** Admitted, and waiting for their socket; null when that was taken back. */
  readonly #openings = new Map<number, OpeningMessage | null>()
  /** Waiting for what is known of them. */
  readonly #sockets = new Map<number, Socket | undefined>()
  readonly #open = new Map<number, Connection>()

  constructor(deps: HeldStreamsDeps, options: WorkerOptions) {
    this.#deps = deps
    this.#delivery = new Delivery(deps.log)
    // The main process judges and counts.
    const limits = { perUser: Number.POSITIVE_INFINITY, perAddress: Number.POSITIVE_INFINITY }
    this.#connections = new Connections({ renew: (principal) => principal, limits })
    this.#server = new WebSocketServer({
      noServer: true,
      ...webSocketOptions(options.maxEventBytes),
    })
    this.#logger = createLogger(options.logLevel)
  }

  takeOpening(opening: OpeningMessage): void {
    this.#openings.set(opening.open, opening)
    this.#meet(opening.open)
  }

  /** @param socket - undefined when its client was gone before it arrived */
  takeSocket(connection: number, socket: Socket | undefined): void {
    this.#sockets.set(connection, socket)
    this.#meet(connection)
  }

  judge(connection: number, principal: PortablePrincipal | null): void {
    const opening = this.#openings.get(connection)
    if (opening !== undefined) {
      this.#openings.set(connection, opening && principal && { ...opening, principal })
      return
    }
    const judged = principal === null ? undefined : this.#principals.read(principal)
    this.#open.get(connection)?.judge(judged)
  }

  drain(connection: number, retryAfterMs: number): void {
    if (this.#openings.has(connection)) this.#openings.set(connection, null)
    else this.#open.get(connection)?.drain(retryAfterMs)
  }

  /** Tells every client to come back. */
  end(): void {
    for (const connection of this.#open.values()) connection.drain(RETRY_AFTER_MS)
  }

  /** What there is to report since the last call. */
  takeCounts(): WorkerCounts {
    const { counters, subscribers } = this.#delivery
    return { delivered: counters.take(), subscribers: countsOf(subscribers) }
  }

  get isEmpty(): boolean {
    return this.#open.size + this.#openings.size === 0
  }

  /** Opening and socket come on different channels: whichever is second begins. */
  #meet(connection: number): void {
    const opening = this.#openings.get(connection)
    if (!this.#sockets.has(connection) || opening === undefined) return
    const socket = this.#sockets.get(connection)
    this.#sockets.delete(connection)
    this.#openings.delete(connection)
    const isOpen = opening !== null && socket !== undefined && this.#begin(opening, socket)
    if (isOpen) return
    socket?.destroy()
    this.#deps.onClosed(connection)
  }

  #begin(opening: OpeningMessage, socket: Socket): boolean {
    const { kind, url, headers, early } = opening
    if (isStreamKind(kind)) {
      this.#writeStream(opening, kind, socket)
      return true
    }
    let isOpen = false
    this.#server.handleUpgrade(
      // All that the handshake looks at.
      Object.assign(Object.create(null), { method: 'GET', url, headers }),
      socket,
      Buffer.from(early, 'base64'),
      (webSocket) => {
        isOpen = true
        this.#serveWebSocket(opening, webSocket, socket)
      },
    )
    return isOpen
  }

  #writeStream(message: OpeningMessage, kind: StreamKind, socket: Socket): void {
    const { open, url, headers, responseHead } = message
    const body = new ChunkedBody(socket, responseHead)
    body.once('close', () => this.#closed(open))
    const asked = readStreamRequest({ url, headers })
    writeStream(this.#servicesOf(open), kind, body, this.#openingOf(message, socket), asked)
  }

  #serveWebSocket(message: OpeningMessage, webSocket: WebSocket, socket: Socket): void {
    const { open, kind, url, headers } = message
    webSocket.on('close', () => this.#closed(open))
    const opening = this.#openingOf(message, socket)
    const services = this.#servicesOf(open)
    if (kind === 'session') new WebSocketSession(services, webSocket, opening)
    else serveWebSocketStream(services, webSocket, opening, readStreamRequest({ url, headers }))
  }

  #closed(connection: number): void {
    this.#open.delete(connection)
    this.#deps.onClosed(connection)
  }

  #openingOf(message: OpeningMessage, socket: Socket): Opening {
    const { principal, address, requestId, publicUrl } = message
    const log = this.#logger
    const known = { address, log, requestId, publicUrl }
    return { socket, principal: this.#principals.read(principal), ...known }
  }

  #servicesOf(connection: number): SessionServices {
    const { log, caller } = this.#deps
    return {
      log,
      delivery: this.#delivery,
      connections: {
        admit: () => {},
        add: (held) => {
          this.#open.set(connection, held)
          return this.#connections.add(held)
        },
      },
      // The main process knows whose connection it is.
      publisher: {
        publish: async (_principal, inputs, options) =>
          (await caller.call('publish', { connection, inputs, options })).value,
      },
      identities: {
        authenticate: async (token): Promise<Principal> =>
          this.#principals.read((await caller.call('authenticate', { connection, token })).value),
      },
    }
  }
}
