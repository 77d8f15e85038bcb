import type { Connection } from '../connection.ts'
import { HttpRequests } from '../http/http-requests.ts'
import { checkedFilter, filterUrl, topicUrl } from '../http/resource-url.ts'
import type { BrokerEvent } from './broker-event.ts'
import { EventSubscription } from './event-subscription.ts'
import { type EventAttributes, encodeEvent, type NewEvent, randomId } from './new-event.ts'

/** What the broker answers to a publish; the event is committed by then. */
export interface PublishAck {
  readonly id: string
  readonly position: string
  /** True when an event of this source and id was there before: nothing was published. */
  readonly duplicate: boolean
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface SubscribeOptions extends CallOptions {
  /** A position, `earliest` or `latest`. Default `latest`. */
  readonly since?: string | undefined
  /** Events held for a consumer that is slower than the stream; then it stops reading. Default 10,000. */
  readonly bufferedEvents?: number | undefined
}

export interface HistoryOptions extends CallOptions {
  /** A position, `earliest` or `latest`. Default `earliest`. */
  readonly since?: string | undefined
  /** Most events in all. Default: no limit. */
  readonly limit?: number | undefined
}

export interface HistoryPageOptions extends HistoryOptions {
  /** Seconds to wait for an event when there is none, up to 60. Default 0. */
  readonly waitSeconds?: number | undefined
}

export interface HistoryPage {
  /** Where the page ends: the `since` of the next. */
  readonly position: string
  /** False when events after `since` are no longer kept. */
  readonly complete: boolean
  /** True when the limit cut the page. */
  readonly more: boolean
  readonly events: readonly BrokerEvent[]
}

const LARGEST_PAGE = 1000

/** Publishes, subscribes and reads the history. */
export class EventsClient {
  readonly #connection: Connection
  readonly #requests: HttpRequests

  constructor(connection: Connection) {
    this.#connection = connection
    this.#requests = new HttpRequests(connection)
  }

  /**
   * Publishes one event. It is repeated after a failure under the same id, so that it is there once.
   *
   * @param data - any JSON value, `JsonText`, bytes, or undefined for an event without data
   * @throws {BrokerError} `TOPIC_INVALID`, `TOPIC_RESERVED`, `EVENT_INVALID`, `EVENT_CONFLICT`, `FORBIDDEN`, ...
   */
  publish(
    topic: string,
    data?: unknown,
    { signal, ...attributes }: EventAttributes & CallOptions = {},
  ): Promise<PublishAck> {
    const event = encodeEvent({ ...attributes, topic, data })
    return this.#post<PublishAck>(topicUrl(topic), 'application/cloudevents+json', event, signal)
  }

  /** Publishes all of `events`, on any topics, or none. At most 10,000 and 16 MiB. */
  publishMany(
    events: readonly NewEvent[],
    { signal }: CallOptions = {},
  ): Promise<readonly PublishAck[]> {
    const batch = `[${events.map(encodeEvent).join(',')}]`
    return this.#post('/events', 'application/cloudevents-batch+json', batch, signal)
  }

  /**
   * Publishes lines of JSON on one topic, all or none: a CloudEvent each if it has `specversion`, else the
   * data of an event. Their text is kept.
   */
  publishLines(
    topic: string,
    lines: readonly string[],
    { type, signal }: Pick<EventAttributes, 'type'> & CallOptions = {},
  ): Promise<readonly PublishAck[]> {
    const headers = { 'idempotency-key': randomId(), ...(type && { 'x-event-type': type }) }
    const body = lines.join('\n')
    return this.#post(topicUrl(topic), 'application/x-ndjson', body, signal, headers)
  }

  /**
   * Events that match any of `filters`, in the order of the log, until it is closed. A gap in it is told by
   * an event of type `EVENTS_MISSED`. Nothing is connected before `open` or the first `next`.
   */
  subscribe(
    filters: string | readonly string[],
    options: SubscribeOptions = {},
  ): EventSubscription<BrokerEvent> {
    return this.#subscribe(filters, options, (_text, event) => event)
  }

  /** As `subscribe`, with each event as the line of JSON that the broker sent. */
  subscribeText(
    filters: string | readonly string[],
    options: SubscribeOptions = {},
  ): EventSubscription<string> {
    return this.#subscribe(filters, options, (text) => text)
  }

  /** The events of the history that match `filter`, up to the present, read page by page. */
  async *history(filter: string, options: HistoryOptions = {}): AsyncGenerator<BrokerEvent, void> {
    let { since, limit: left = Number.POSITIVE_INFINITY } = options
    for (let more = true; more && left > 0; ) {
      const limit = Math.min(left, LARGEST_PAGE)
      const page = await this.historyPage(filter, { since, limit, signal: options.signal })
      // An event that tells of a gap comes beside those that were asked for.
      yield* page.events.slice(0, left)
      since = page.position
      left -= page.events.length
      more = page.more
    }
  }

  /** One page of the history, at most 1,000 events; with `waitSeconds` a long poll. */
  historyPage(filter: string, options: HistoryPageOptions = {}): Promise<HistoryPage> {
    const { since, limit, waitSeconds, signal } = options
    const query = new URLSearchParams()
    if (since !== undefined) query.set('since', since)
    if (limit !== undefined) query.set('limit', String(limit))
    if (waitSeconds !== undefined) query.set('wait', String(waitSeconds))
    const target = `${filterUrl(filter)}${query.size > 0 ? `?${query}` : ''}`
    return this.#requests.sendForJson({ method: 'GET', target, repeat: 'always', signal })
  }

  #subscribe<Item>(
    filters: string | readonly string[],
    { since = 'latest', bufferedEvents = 10_000, signal }: SubscribeOptions,
    decode: (text: string, event: BrokerEvent) => Item,
  ): EventSubscription<Item> {
    const ends = [this.#connection.signal, ...(signal ? [signal] : [])]
    return new EventSubscription(
      {
        filters: [filters].flat().map(checkedFilter),
        since,
        bufferedEvents,
        signal: AbortSignal.any(ends),
        decode,
      },
      this.#connection,
    )
  }

  #post<Answer>(
    target: string,
    type: string,
    body: string,
    signal: AbortSignal | undefined,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return this.#requests.sendForJson({
      method: 'POST',
      target,
      headers: { 'content-type': type, ...headers },
      body: () => body,
      repeat: 'always',
      signal,
    })
  }
}
