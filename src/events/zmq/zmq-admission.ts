import type { Identities, Principal } from '../../auth/principal.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { mayReceiveAll } from '../delivery/may-receive.ts'
import type { ZapRequest } from './zmq-authentication.ts'

/** Why a peer may not connect. */
export interface Refusal {
  readonly code: ProblemCode
  /** The grant that would let it in, e.g. `subscribe ci/**`. */
  readonly missing?: string
}

export type Admission = { readonly principal: Principal } | { readonly refusal: Refusal }

/**
 * Whether a PLAIN peer may be where everything that `filter` asks for is told. The password alone is what
 * authenticates; the name must be that of its user.
 */
export function admitPlain(
  { mechanism, credentials }: ZapRequest,
  filter: TopicFilter,
  identities: Identities,
): Admission {
  const [name, password] = credentials
  if (mechanism !== 'PLAIN' || name === undefined || password === undefined) {
    return { refusal: { code: 'UNAUTHENTICATED' } }
  }
  const user = name.toString()
  try {
    const principal = identities.authenticate(password.toString(), `zmq:${user}`)
    if (principal.user !== user) return { refusal: { code: 'CREDENTIAL_INVALID' } }
    const missing = missingGrant(principal, filter)
    return missing === undefined ? { principal } : { refusal: { code: 'FORBIDDEN', missing } }
  } catch (error) {
    if (error instanceof BrokerError) return { refusal: { code: error.code } }
    throw error
  }
}

function missingGrant({ rights }: Principal, filter: TopicFilter): string | undefined {
  if (mayReceiveAll(rights, filter)) return undefined
  if (!rights.covers('subscribe', filter)) return `subscribe ${filter}`
  return `list ${filter.startsWith('files/') ? filter.slice('files/'.length) : '**'}`
}
