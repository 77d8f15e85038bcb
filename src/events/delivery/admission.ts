import type { Principal } from '../../auth/principal.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'

/** @throws {BrokerError} `FORBIDDEN` when nothing of what `filter` asks for may be received, for anonymous `UNAUTHENTICATED` */
export function admitSubscriber(principal: Principal, filter: TopicFilter): void {
  if (!principal.rights.overlaps('subscribe', filter)) refuse(principal, 'subscribe', filter)
}

/** @throws {BrokerError} `FORBIDDEN`, for anonymous `UNAUTHENTICATED` */
export function admitPublisher(principal: Principal, topic: Topic): void {
  if (!principal.rights.may('publish', topic)) refuse(principal, 'publish', topic)
}

function refuse({ user }: Principal, missing: string, resource: string): never {
  const fields = { missing }
  if (user === null) {
    throw new BrokerError('UNAUTHENTICATED', `${missing} ${resource} needs a credential`, {
      fields,
    })
  }
  throw new BrokerError('FORBIDDEN', `no grant to ${missing} ${resource}`, { fields })
}
