import {
  Connections,
  type Connection as OpenConnection,
  type Registration,
} from '../../src/events/delivery/connections.ts'
import type { Delivery } from '../../src/events/delivery/delivery.ts'
import { Stream } from '../../src/events/delivery/stream.ts'
import type { EventLog } from '../../src/events/log/event-log.ts'
import type { Since } from '../../src/protocol/position.ts'
import { type Connection, offsetOf, type Wish } from './recovery-connection.ts'
import type { Permissions } from './recovery-permissions.ts'

/** What a door is opened with. */
export interface LinkServices {
  readonly log: EventLog
  readonly delivery: Delivery
}

/** The broker's side of one connection, whatever its door. */
export interface Link extends Disposable {
  /**
   * Asks for more.
   *
   * @returns when it was answered, or never will be
   * @throws {BrokerError} why it is refused
   */
  ask(wish: Wish, since: Since): Promise<void>
  /** The user has other rights now. */
  judge(): void
  /** The client reads nothing any more. */
  stall(bytes: number): void
  /** The client reads everything. */
  drain(): void
  /** What happens once a second. */
  tick(): void
  /** True when the client was told that it has everything through `head`; brings that about. */
  isAt(head: number): boolean
}

/** Of one user, who is judged and reminded at a test's word. */
export class ModelConnections extends Connections {
  readonly #members = new Set<OpenConnection>()

  constructor(permissions: Permissions) {
    const limits = { perUser: Infinity, perAddress: Infinity }
    super({ renew: () => permissions.principal, limits })
  }

  override add(connection: OpenConnection): Registration {
    const registration = super.add(connection)
    this.#members.add(connection)
    return {
      ...registration,
      [Symbol.dispose]: () => {
        this.#members.delete(connection)
        registration[Symbol.dispose]()
      },
    }
  }

  tick(): void {
    for (const member of [...this.#members]) member.tick()
  }
}

/** A door that is one stream and nothing else. */
export class StreamLink implements Link {
  readonly #connection: Connection
  readonly #permissions: Permissions
  readonly #stream: Stream

  constructor(services: LinkServices, connection: Connection, permissions: Permissions) {
    this.#connection = connection
    this.#permissions = permissions
    this.#stream = new Stream({ ...services, sink: connection }, permissions.principal)
  }

  ask(wish: Wish, since: Since): Promise<void> {
    return this.#stream.subscribe(wish.filters, since, {
      accepted: (subscribed) => this.#connection.accepted(wish, since, subscribed),
      replayed: (at) => this.#connection.replayed(at),
    })
  }

  judge(): void {
    this.#stream.judge(this.#permissions.principal)
  }

  stall(bytes: number): void {
    this.#connection.backlogBytes = bytes
  }

  drain(): void {
    this.#connection.drain()
  }

  tick(): void {
    this.#stream.tick(-1)
  }

  isAt(head: number): boolean {
    this.tick()
    const message = this.#connection.transcript.at(-1)
    return message?.kind === 'position' && offsetOf(message.position) === head
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]()
  }
}
