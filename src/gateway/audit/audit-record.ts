import type { FastifyRequest } from 'fastify'
import type { ProblemCode } from '../../protocol/problem.ts'

/** What can be done to the broker, each named for the thing and what happens to it. */
export type AuditAction =
  | 'auth'
  | 'ticket.issue'
  | 'token.issue'
  | 'users.replace'
  | 'credential.add'
  | 'credential.remove'
  | 'file.create'
  | 'file.replace'
  | 'file.delete'
  | 'file.write'
  | 'upload.terminate'
  | 'backup.take'
  | 'broker.start'
  | 'broker.reload'
  | 'broker.stop'
  | 'audit.lost'

/** Who does it; null where nobody is known, as of an edit on disk. */
export interface AuditActor {
  readonly requestId: string | null
  readonly user: string | null
  /** The id of the credential, never the secret. */
  readonly credential: string | null
  /** The address of the client, `zmq` for a peer whose address ZeroMQ does not tell. */
  readonly address: string | null
}

/** One line of the audit log, without its time. */
export interface AuditRecord extends AuditActor {
  readonly action: AuditAction
  /** What it was done to: a path, a user, the purpose of a ticket. */
  readonly target: string
  readonly outcome: 'done' | 'refused'
  /** Why it was refused. */
  readonly code?: ProblemCode
  /** How many alike this line stands for; one when left out. */
  readonly count?: number
  /** What else is known of it, such as `size`, `sha256` and `position` of a file. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** The broker itself, or somebody with access to its disk. */
export const NOBODY: AuditActor = { requestId: null, user: null, credential: null, address: null }

/** A request that is refused before anybody asks who it is from has no principal. */
export function actorOf({ id, ip, principal }: FastifyRequest): AuditActor {
  const credential = principal?.credential?.id ?? null
  return { requestId: id, user: principal?.user ?? null, credential, address: ip }
}
