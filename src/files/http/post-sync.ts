import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import { mayListDirectory, refusal } from './file-rights.ts'

/** A name in the root that `POST` does not store: a file called so is put there by `PUT`. */
export const SYNC_PATH = 'sync'

export interface SyncDeps {
  /** Resolves when all that was changed on disk before is told, with the position by which it is. */
  readonly barrier: () => Promise<string>
}

/** What is answered when the barrier is passed. */
export interface SyncAnswer {
  readonly position: string
}

/**
 * `POST /files/sync`: answers when every change made on disk before is told by an event at or before the
 * `position` that it answers. A body is not looked at.
 *
 * @throws {BrokerError} `UNAUTHENTICATED`, `FORBIDDEN`; `UNAVAILABLE` when the volume is offline
 */
export async function postSync(
  { barrier }: SyncDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  requireSyncRight(request.principal)
  const answer: SyncAnswer = { position: await barrier() }
  return reply.header('broker-position', answer.position).send(answer)
}

/** Whoever may list anything may wait for it. @throws {BrokerError} `UNAUTHENTICATED`, `FORBIDDEN` */
export function requireSyncRight(principal: Principal): void {
  if (!mayListDirectory(principal, '')) throw refusal(principal, 'list')
}
