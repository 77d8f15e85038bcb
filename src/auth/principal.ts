import type {} from 'fastify'

/**
 * Who a request is from and what it may do: all that the other capabilities know of identity.
 * They ask `rights`, they never decide by themselves.
 */

/** What a grant allows or denies. `create` is a new file, `replace` another content of one that is there. */
export const ACTIONS = [
  'publish',
  'subscribe',
  'list',
  'read',
  'create',
  'replace',
  'delete',
  'administer',
  'observe',
] as const

export type Action = (typeof ACTIONS)[number]

/** On what an action is done: a topic for the first two, a path for files, nothing for the last two. */
export type TopicAction = 'publish' | 'subscribe'
export type FileAction = 'list' | 'read' | 'create' | 'replace' | 'delete'
export type BrokerAction = 'administer' | 'observe'

/**
 * The compiled grants of one principal as of one users table. Immutable, and the same object for
 * principals with the same rights, so that its identity can serve as a key for caches and groups.
 */
export interface Rights {
  /** Default deny, deny wins. `resource` is a topic or a path; it is left out for a broker action. */
  may(action: TopicAction | FileAction, resource: string): boolean
  may(action: BrokerAction): boolean
  /** True when some allow overlaps `filter` and no single deny covers it: a subscription is admitted. */
  overlaps(action: TopicAction | FileAction, filter: string): boolean
  /** True when one allow covers `filter` and no deny overlaps it: everything it stands for is allowed. */
  covers(action: TopicAction | FileAction, filter: string): boolean
}

export interface Principal {
  /** The user's name, or null for anonymous. */
  readonly user: string | null
  readonly rights: Rights
  /** What was presented: stays the same while the credential does. Null for anonymous. */
  readonly credential: CredentialReference | null
}

export interface CredentialReference {
  readonly kind: 'token' | 'certificate' | 'curve-key' | 'oidc' | 'ticket'
  /** Names the credential in logs and audits; never the secret. */
  readonly id: string
  /** Milliseconds since the epoch after which it is refused. */
  readonly expiresMs?: number
}

/** Rights of a principal that may do nothing. */
export const NO_RIGHTS: Rights = {
  may: () => false,
  overlaps: () => false,
  covers: () => false,
}

/** Turns what was presented into a principal; the edges' only way to one. */
export interface Identities {
  /**
   * @param secret - a whole token as presented
   * @param from - what failed attempts are counted by: a peer address, over ZeroMQ a user or token hash
   * @throws {BrokerError} `CREDENTIAL_INVALID`; `TOO_MANY_REQUESTS` after many failures from there
   */
  authenticate(secret: string, from: string): Principal
  /**
   * @param publicKey - Z85, of a peer that completed the CURVE handshake and thereby holds the secret one
   * @throws {BrokerError} `CREDENTIAL_INVALID`
   */
  authenticateCurveKey(publicKey: string): Principal
  /** Whoever presents nothing. */
  anonymous(): Principal
  /** The same principal as of the users table in force, or undefined when its credential is gone. */
  renew(principal: Principal): Principal | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the gateway before any handler runs. */
    principal: Principal
  }
}
