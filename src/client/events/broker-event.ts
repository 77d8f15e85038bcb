/**
 * An event as it is received: a CloudEvents 1.0 object with the attributes that the broker sets.
 * @see https://github.com/cloudevents/spec for the attributes of CloudEvents
 */
export interface BrokerEvent {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  /** ISO 8601. */
  readonly time: string
  readonly subject?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  /** What was published: a JSON value, or text when `datacontenttype` is no JSON. */
  readonly data?: unknown
  /** What was published, when it is neither JSON nor text. */
  readonly data_base64?: string
  readonly topic: string
  readonly authtype: 'user' | 'system' | 'unauthenticated'
  /** The publishing user's name. */
  readonly authid?: string
  /** Opaque; give it as `since` to go on after this event. */
  readonly position: string
  /** Extension attributes of the publisher. */
  readonly [attribute: string]: unknown
}

/** The type of the event that tells of a gap; its `data` is `MissedEvents`. */
export const EVENTS_MISSED = 'EVENTS MISSED'

export interface MissedEvents {
  /** The position asked for. */
  readonly since: string
  /** Where the stream went on. */
  readonly resumed: string
  readonly reason: 'trimmed' | 'epoch' | 'slow'
}
