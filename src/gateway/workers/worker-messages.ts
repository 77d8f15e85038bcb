import type { IncomingHttpHeaders } from 'node:http'
import type { CredentialReference } from '../../auth/principal.ts'
import type { Grant } from '../../auth/rights/grants.ts'
import type { DeliveryCounts } from '../../events/delivery/delivery-counters.ts'
import type { SubscriberCounts } from '../../events/delivery/subscriber-counts.ts'
import type { HeldKind } from '../../events/hand-over.ts'

/** A principal on its way to another process. */
export interface PortablePrincipal {
  readonly user: string | null
  readonly grants: readonly Grant[]
  readonly credential: CredentialReference | null
}

/** The request of a stream that was admitted; its socket follows on the channel of the child process. */
export interface OpeningMessage {
  readonly open: number
  readonly kind: HeldKind
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** What came behind the request, base64. */
  readonly early: string
  /** What a streamed response begins with; empty for a WebSocket. */
  readonly responseHead: string
  readonly address: string
  readonly requestId: string
  readonly publicUrl: string
  readonly principal: PortablePrincipal
}

/** What the main process tells a worker on the link, beside the feed and its answers. */
export type WorkerOrder =
  | OpeningMessage
  | { readonly judge: number; readonly principal: PortablePrincipal | null }
  | { readonly drain: number; readonly retryAfterMs: number }
  /** End the connections, and then the process. */
  | { readonly finish: true }

/** What a worker tells, beside its calls. */
export type WorkerReport = { readonly closed: number } | WorkerCounts

/** What its streams were sent since the last report, and what they are now. */
export interface WorkerCounts {
  readonly delivered: DeliveryCounts
  readonly subscribers: SubscriberCounts
}

/** Comes with a socket, on the channel of the child process. */
export interface SocketMessage {
  readonly connection: number
}

/** What a worker needs to know at its start: its only argument, as JSON. */
export interface WorkerOptions {
  readonly maxEventBytes: number
  readonly logLevel: string
}

/** The descriptor of the link in the worker. */
export const LINK_FD = 4
