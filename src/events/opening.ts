import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Principal } from '../auth/principal.ts'

/** What is known of a stream when it opens: its request was judged before. */
export interface Opening {
  /** The one below it. */
  readonly socket: Socket
  readonly principal: Principal
  /** Of the client, as the front told it. */
  readonly address: string
  /** Of the process: one logger per connection would be a tenth of what an idle one costs. */
  readonly log: FastifyBaseLogger
  readonly requestId: string
  /** Under which the client reached the broker: what the `type` of a problem begins with. */
  readonly publicUrl: string
}

/** What is kept of an admitted request. */
export function openingOf({ raw, principal, ip, id, server, publicUrl }: FastifyRequest): Opening {
  const { socket } = raw
  return { socket, principal, address: ip, log: server.log, requestId: id, publicUrl }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Under which the client reached the broker; empty when its request does not tell. */
    readonly publicUrl: string
  }
}
