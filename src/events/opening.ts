import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
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
}
