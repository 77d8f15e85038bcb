import type { Principal } from '../../auth/principal.ts'
import { formatPosition } from '../../protocol/position.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import { isLongerThan } from '../../protocol/text.ts'
import type { Topic } from '../../protocol/topic.ts'
import { admitPublisher } from '../delivery/admission.ts'
import type { EventDraft, EventLog } from '../log/event-log.ts'
import { composeEvent } from './compose-event.ts'
import type { EventInput } from './event-input.ts'
import { idFactory } from './id-factory.ts'
import { isoClock } from './iso-clock.ts'
import { PublishRate } from './publish-rate.ts'

/** What a publisher is told of each event. */
export interface Receipt {
  readonly id: string
  readonly position: string
  /** True when it had been published before: `position` is that of the first time. */
  readonly duplicate: boolean
}

export interface PublishOptions {
  /** The topic of the route; without it every event carries its own. */
  readonly topic?: Topic | undefined
  /** Of many, the n-th counts as `<key>/<n>`. */
  readonly idempotencyKey?: string | undefined
  /** Whether a refusal names the index of the event. */
  readonly isBatch: boolean
  /** By which door it came; HTTP when left out. */
  readonly door?: Door | undefined
}

export type Door = 'http' | 'websocket' | 'zmq'

/** Told of what is published and refused, for metrics. */
export interface PublishObserver {
  /** @param seconds - until the commit */
  published(door: Door, receipts: readonly Receipt[], seconds: number): void
  refused(door: Door, reason: ProblemCode): void
}

export interface PublisherDeps {
  readonly log: EventLog
  readonly maxEventBytes: number
  readonly rate?: PublishRate
  readonly observer?: PublishObserver
}

/** Bytes that may wait for their commit before publishers are told to slow down. */
const MAX_UNCOMMITTED_BYTES = 64 * 1024 * 1024

const MAX_KEY_LENGTH = 256

/** The one way into the log for what users publish: every door ends here. */
export class Publisher {
  readonly #log: EventLog
  readonly #maxEventBytes: number
  readonly #rate: PublishRate
  readonly #observer: PublishObserver | undefined
  readonly #newId = idFactory()
  readonly #now = isoClock()
  #uncommittedBytes = 0

  constructor({ log, maxEventBytes, rate, observer }: PublisherDeps) {
    this.#rate = rate ?? new PublishRate(Infinity)
    this.#observer = observer
    this.#log = log
    this.#maxEventBytes = maxEventBytes
  }

  /**
   * Publishes all of `inputs` or none; resolves when they are committed.
   *
   * @throws {BrokerError} `EVENT_INVALID`, `JSON_INVALID`, `TOPIC_INVALID`, `TOO_LARGE`, `TOPIC_RESERVED`,
   *   `FORBIDDEN`, `UNAUTHENTICATED`, `EVENT_CONFLICT`, `TOO_MANY_REQUESTS`, `STORAGE_FULL`
   */
  async publish(
    principal: Principal,
    inputs: readonly EventInput[],
    options: PublishOptions,
  ): Promise<readonly Receipt[]> {
    const { door = 'http', isBatch } = options
    const drafts = this.#observed(door, () => this.#drafts(principal, inputs, options))
    try {
      return await this.append(drafts, door)
    } catch (error) {
      throw isBatch ? error : withoutIndex(error)
    }
  }

  /**
   * The first half of publishing one event: judges and completes it. It is published by `append`.
   *
   * @throws {BrokerError} what `publish` throws of an event, before the log sees it
   */
  prepare(principal: Principal, input: EventInput, topic: Topic, door: Door): EventDraft {
    return this.#observed(door, () => {
      const context = { topic, user: principal.user, now: this.#now(), newId: this.#newId }
      const draft = this.#draft(principal, input, context)
      this.#rate.spend(principal.user, 1)
      return draft
    })
  }

  /**
   * The second half: stores all of `drafts` or none; resolves when they are committed.
   *
   * @throws {BrokerError} `EVENT_CONFLICT` with the index of a draft that has an identity,
   *   `TOO_MANY_REQUESTS`, `STORAGE_FULL`
   */
  async append(drafts: readonly EventDraft[], door: Door): Promise<readonly Receipt[]> {
    const start = performance.now()
    const bytes = this.#observed(door, () => this.#admit(drafts))
    try {
      const acks = await this.#log.append(drafts)
      const receipts = acks.map(({ id, offset, duplicate }) => ({
        id,
        position: formatPosition(this.#log.epoch, offset),
        duplicate,
      }))
      this.#observer?.published(door, receipts, (performance.now() - start) / 1000)
      return receipts
    } catch (error) {
      this.#refused(door, error)
      throw error
    } finally {
      this.#uncommittedBytes -= bytes
    }
  }

  #drafts(
    principal: Principal,
    inputs: readonly EventInput[],
    { topic, idempotencyKey, isBatch }: PublishOptions,
  ): readonly EventDraft[] {
    checkKey(idempotencyKey)
    const now = this.#now()
    const drafts = inputs.map((input, index) => {
      const key =
        isBatch && idempotencyKey !== undefined ? `${idempotencyKey}/${index}` : idempotencyKey
      const context = { topic, user: principal.user, now, newId: this.#newId, idempotencyKey: key }
      try {
        return this.#draft(principal, input, context)
      } catch (error) {
        throw isBatch ? atIndex(error, index) : error
      }
    })
    this.#rate.spend(principal.user, drafts.length)
    return drafts
  }

  #observed<Value>(door: Door, work: () => Value): Value {
    try {
      return work()
    } catch (error) {
      this.#refused(door, error)
      throw error
    }
  }

  #refused(door: Door, error: unknown): void {
    this.#observer?.refused(door, error instanceof BrokerError ? error.code : 'INTERNAL')
  }

  #draft(
    principal: Principal,
    input: EventInput,
    context: Parameters<typeof composeEvent>[1],
  ): EventDraft {
    const draft = composeEvent(input, context)
    admitPublisher(principal, draft.topic)
    // The position comes on top; nobody should lose an event to its digits.
    if (isLongerThan(draft.json, this.#maxEventBytes)) {
      throw new BrokerError('TOO_LARGE', `an event holds at most ${this.#maxEventBytes} bytes`)
    }
    return draft
  }

  /** Counts what is on its way to the log; returns by how much, to be taken off again. */
  #admit(drafts: readonly EventDraft[]): number {
    const bytes = drafts.reduce((sum, { json }) => sum + json.length, 0)
    if (this.#uncommittedBytes > 0 && this.#uncommittedBytes + bytes > MAX_UNCOMMITTED_BYTES) {
      const fields = { retryAfterSeconds: 1 }
      throw new BrokerError('TOO_MANY_REQUESTS', 'the event log is behind', { fields })
    }
    this.#uncommittedBytes += bytes
    return bytes
  }
}

function checkKey(key: string | undefined): void {
  if (key !== undefined && (key === '' || key.length > MAX_KEY_LENGTH)) {
    const detail = `Idempotency-Key has 1 to ${MAX_KEY_LENGTH} characters`
    throw new BrokerError('REQUEST_INVALID', detail)
  }
}

/** Of a single event there is nothing to point at. */
export function withoutIndex(error: unknown): unknown {
  if (!(error instanceof BrokerError)) return error
  const { code, message, cause } = error
  const { index: _, ...fields } = error.fields
  return new BrokerError(code, message, { cause, fields })
}

function atIndex(error: unknown, index: number): unknown {
  if (!(error instanceof BrokerError)) return error
  const { code, message, fields, cause } = error
  return new BrokerError(code, message, { cause, fields: { ...fields, index } })
}
