import type { Identities, Principal } from '../../auth/principal.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { mayReceiveAll } from '../delivery/may-receive.ts'
import type { ZapRequest } from './zmq-authentication.ts'
import type { ZmqMechanism } from './zmq-bound-socket.ts'
import { z85Of } from './zmq-curve.ts'

const CURVE_KEY_BYTES = 32

/** Why a peer may not connect. */
export interface Refusal {
  readonly code: ProblemCode
  /** The grant that would let it in, e.g. `subscribe ci/**`. */
  readonly missing?: string
}

export type Admission = { readonly principal: Principal } | { readonly refusal: Refusal }

/** Whether a peer may be where everything that `filter` asks for is told, by what its mechanism presents. */
export function admit(
  request: ZapRequest,
  kind: ZmqMechanism['kind'],
  filter: TopicFilter,
  identities: Identities,
): Admission {
  return kind === 'curve'
    ? admitCurve(request, filter, identities)
    : admitPlain(request, filter, identities)
}

/** Whose key a CURVE peer holds. @throws {BrokerError} `CREDENTIAL_INVALID`, `UNAUTHENTICATED` */
export function curvePrincipal(
  { mechanism, credentials }: ZapRequest,
  identities: Identities,
): Principal {
  const [key] = credentials
  if (mechanism !== 'CURVE' || key?.length !== CURVE_KEY_BYTES) {
    throw new BrokerError('UNAUTHENTICATED', 'the peer shows no CURVE key')
  }
  return identities.authenticateCurveKey(z85Of(key))
}

function admitCurve(request: ZapRequest, filter: TopicFilter, identities: Identities): Admission {
  return judged(filter, () => curvePrincipal(request, identities))
}

/**
 * Whether a PLAIN peer may be where everything that `filter` asks for is told. The password alone is what
 * authenticates; the name must be that of its user.
 */
function admitPlain(
  { mechanism, credentials }: ZapRequest,
  filter: TopicFilter,
  identities: Identities,
): Admission {
  const [name, password] = credentials
  if (mechanism !== 'PLAIN' || name === undefined || password === undefined) {
    return { refusal: { code: 'UNAUTHENTICATED' } }
  }
  const user = name.toString()
  return judged(filter, () => {
    const principal = identities.authenticate(password.toString(), `zmq:${user}`)
    if (principal.user === user) return principal
    throw new BrokerError('CREDENTIAL_INVALID', 'the token is of another user')
  })
}

function judged(filter: TopicFilter, identify: () => Principal): Admission {
  try {
    const principal = identify()
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
