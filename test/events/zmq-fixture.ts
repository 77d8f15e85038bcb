import { once } from 'node:events'
import type { Identities, Principal, Rights } from '../../src/auth/principal.ts'
import { Connections } from '../../src/events/delivery/connections.ts'
import { Delivery } from '../../src/events/delivery/delivery.ts'
import type { EventLog } from '../../src/events/log/event-log.ts'
import { MemoryEventLog } from '../../src/events/log/memory-event-log.ts'
import { Publisher } from '../../src/events/publish/publisher.ts'
import { type ZmqAddresses, ZmqService } from '../../src/events/zmq/zmq-service.ts'
import { BrokerError } from '../../src/protocol/problem.ts'
import {
  patternCovers,
  patternMatches,
  patternsOverlap,
} from '../../src/protocol/segment-pattern.ts'
import type { TopicFilter } from '../../src/protocol/topic-filter.ts'

/** Patterns by action, e.g. `{ subscribe: ['ci/**'], list: ['**'] }`. */
export type Grants = Readonly<Record<string, readonly string[]>>

export function rightsOf(grants: Grants): Rights {
  const of = (action: string) => grants[action] ?? []
  return {
    may: (action: string, resource: string = '') =>
      of(action).some((p) => patternMatches(p, resource)),
    overlaps: (action, filter) => of(action).some((p) => patternsOverlap(p, filter)),
    covers: (action, filter) => of(action).some((p) => patternCovers(p, filter)),
  }
}

export const ALL: Grants = { publish: ['**'], subscribe: ['**'], list: ['**'] }

interface FakeUser {
  readonly user: string
  readonly rights: Rights
  readonly expiresMs?: number
}

/** A users table that tests change; each token is a user. */
export class FakeIdentities implements Identities {
  readonly #users = new Map<string, FakeUser>()
  readonly attempts: { readonly secret: string; readonly from: string }[] = []
  anonymousRights = rightsOf({})
  throttled = new Set<string>()

  add(user: string, token: string, grants: Grants, expiresMs?: number): this {
    const rights = rightsOf(grants)
    this.#users.set(token, { user, rights, ...(expiresMs !== undefined && { expiresMs }) })
    return this
  }

  remove(token: string): void {
    this.#users.delete(token)
  }

  /** Keys of users, Z85. */
  readonly curveKeys = new Map<string, string>()

  authenticateCurveKey(publicKey: string): Principal {
    const secret = this.curveKeys.get(publicKey)
    if (secret === undefined) throw new BrokerError('CREDENTIAL_INVALID', 'the key is not known')
    return this.authenticate(secret, 'curve')
  }

  authenticate(secret: string, from: string): Principal {
    this.attempts.push({ secret, from })
    if (this.throttled.has(from)) throw new BrokerError('TOO_MANY_REQUESTS', 'too many failures')
    const found = this.#users.get(secret)
    if (found === undefined) throw new BrokerError('CREDENTIAL_INVALID', 'no such credential')
    const { user, rights, expiresMs } = found
    const expires = expiresMs === undefined ? {} : { expiresMs }
    return { user, rights, credential: { kind: 'token', id: secret, ...expires } }
  }

  anonymous(): Principal {
    return { user: null, rights: this.anonymousRights, credential: null }
  }

  renew(principal: Principal): Principal | undefined {
    if (principal.credential === null) return this.anonymous()
    const found = this.#users.get(principal.credential.id)
    return found === undefined ? undefined : { ...principal, rights: found.rights }
  }
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
}

/** Keeps what is logged, and lets a test wait for a line. */
export class FakeLogger extends EventTarget {
  readonly lines: LogLine[] = []
  readonly info = this.#writer('info')
  readonly warn = this.#writer('warn')
  readonly error = this.#writer('error')

  /** The first line of this event, now or as soon as it comes. */
  async line(event: string): Promise<LogLine> {
    for (;;) {
      const line = this.lines.find(({ fields }) => fields['event'] === event)
      if (line !== undefined) return line
      await once(this, 'line')
    }
  }

  #writer(level: LogLine['level']) {
    return (fields: unknown): void => {
      this.lines.push({ level, fields: fields as LogLine['fields'] })
      this.dispatchEvent(new Event('line'))
    }
  }
}

export interface Fixture extends AsyncDisposable {
  readonly service: ZmqService
  readonly identities: FakeIdentities
  readonly log: EventLog
  readonly publisher: Publisher
  readonly connections: Connections
  readonly delivery: Delivery
  readonly logger: FakeLogger
  readonly subscribe: string
  readonly session: string
  /** Publishes `data` as somebody who may, beside ZeroMQ. */
  publish(topic: string, data: unknown): Promise<string>
  /** What the gateway does after a change of the users table. */
  judge(): void
}

export const LOOPBACK: ZmqAddresses = {
  subscribe: [{ address: 'tcp://127.0.0.1:0', security: 'plain', filter: 'ci/**' as TopicFilter }],
  session: [{ address: 'tcp://127.0.0.1:0', security: 'null' }],
}

export async function startZmq(addresses: ZmqAddresses = LOOPBACK): Promise<Fixture> {
  const budget = { events: 100_000, bytes: 256 * 1024 * 1024, ageMs: 3_600_000 }
  const log = new MemoryEventLog({ budget, epoch: 'e1', now: () => Date.now() })
  const delivery = new Delivery(log)
  const publisher = new Publisher({ log, maxEventBytes: 1024 * 1024 })
  const identities = new FakeIdentities()
    .add('root', 'root-token', ALL)
    .add('jenkins', 'jenkins-token', { publish: ['ci/**'], subscribe: ['ci/**'] })
    .add('other', 'other-token', { subscribe: ['other/**'] })
  const connections = new Connections({
    renew: (principal) => identities.renew(principal),
    limits: { perUser: 1000, perAddress: 1000 },
  })
  const logger = new FakeLogger()
  const services = { log, delivery, publisher, identities, connections, logger }
  const service = await ZmqService.open(addresses, { ...services, maxEventBytes: 1024 * 1024 })
  const root = identities.authenticate('root-token', 'test')
  return {
    ...services,
    service,
    subscribe: service.subscribeEndpoints[0] ?? '',
    session: service.sessionEndpoints[0] ?? '',
    async publish(topic, data) {
      const json = JSON.stringify(data)
      const input = { kind: 'message', attributes: { topic }, data: { json } } as const
      const [receipt] = await publisher.publish(root, [input], { isBatch: false })
      return receipt?.position ?? ''
    },
    judge() {
      connections.judgeAll()
      service.judge()
    },
    async [Symbol.asyncDispose]() {
      await service.close()
      connections[Symbol.dispose]()
      delivery[Symbol.dispose]()
      await log.close()
    },
  }
}
