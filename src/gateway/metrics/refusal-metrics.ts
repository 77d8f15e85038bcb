import type { Identities } from '../../auth/principal.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { Metrics } from './metrics.ts'

export interface CountedRefusals {
  /** A request whose credential was refused. */
  count(error: BrokerError): void
  /** The same identities, whose refusals are counted: for doors that are no requests. */
  watch(identities: Identities): Identities
}

/** Counts credentials that were refused. */
export function observeRefusals(metrics: Metrics): CountedRefusals {
  const failures = metrics.counter({
    name: 'databroker_auth_failures_total',
    help: 'Credentials that were refused, by problem code.',
    labels: ['reason'],
  })
  const count = ({ code }: BrokerError) => failures.inc({ reason: code })
  const counted = <Value>(identify: () => Value): Value => {
    try {
      return identify()
    } catch (error) {
      if (error instanceof BrokerError) count(error)
      throw error
    }
  }
  return {
    count,
    watch: (identities) => ({
      authenticate: (secret, from) => counted(() => identities.authenticate(secret, from)),
      authenticateCurveKey: (key) => counted(() => identities.authenticateCurveKey(key)),
      anonymous: () => identities.anonymous(),
      renew: (principal) => identities.renew(principal),
    }),
  }
}
