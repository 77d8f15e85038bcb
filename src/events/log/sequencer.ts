import { Duplicates, type FirstPublish } from './duplicates.ts'
import type { Ack, EventDraft, StoredEvent } from './event-log.ts'
import { storeEvent } from './stored-event.ts'

/** A batch with its offsets, before it is durable. */
export interface Sequenced {
  /** What is to be stored, in order; duplicates are not among it. */
  readonly fresh: readonly SequencedEvent[]
  /** One per draft, in order. */
  readonly acks: readonly Ack[]
}

export interface SequencedEvent {
  readonly draft: EventDraft
  readonly event: StoredEvent
  /** Milliseconds since the epoch. */
  readonly time: number
}

/** Gives out offsets and recognises repeats: the part of appending that all logs share. */
export class Sequencer {
  readonly epoch: string
  readonly #duplicates = new Duplicates()
  #last: number

  constructor(epoch: string, last: number) {
    this.epoch = epoch
    this.#last = last
  }

  /** The last offset given out, durable or not. */
  get last(): number {
    return this.#last
  }

  /**
   * @param now - milliseconds since the epoch
   * @throws {BrokerError} `EVENT_CONFLICT`, in which case nothing of the batch has taken place
   */
  sequence(drafts: readonly EventDraft[], now: number): Sequenced {
    const before = this.#last
    const fresh: SequencedEvent[] = []
    try {
      const acks = drafts.map((draft, index) => {
        const first = this.#firstOf(draft, index, now)
        if (first !== undefined) return { id: first.id, offset: first.offset, duplicate: true }
        const offset = ++this.#last
        const event = storeEvent(this.epoch, offset, draft.topic, draft.json)
        fresh.push({ draft, event, time: now })
        this.restore(draft, offset, now)
        return { id: draft.id, offset, duplicate: false }
      })
      return { fresh, acks }
    } catch (error) {
      this.forget(fresh)
      this.#last = before
      throw error
    }
  }

  /** Remembers an identity: of a batch, or of before a restart. */
  restore(
    draft: Pick<EventDraft, 'id' | 'topic' | 'identity'>,
    offset: number,
    time: number,
  ): void {
    const { id, topic, identity } = draft
    if (identity !== undefined) this.#duplicates.remember(identity, { id, offset, topic, time })
  }

  /** False when a publish that a duplicate was told to repeat has not become durable after all. */
  allStand(drafts: readonly EventDraft[], acks: readonly Ack[]): boolean {
    return acks.every(({ duplicate, offset }, i) => {
      const identity = drafts[i]?.identity
      return !duplicate || identity === undefined || this.#duplicates.stands(identity, offset)
    })
  }

  /** Takes back a batch that did not become durable, so that it may be sent again. */
  forget(events: readonly SequencedEvent[]): void {
    for (const { draft, event } of events) {
      if (draft.identity !== undefined) this.#duplicates.forget(draft.identity, event.offset)
    }
  }

  #firstOf({ identity, topic }: EventDraft, index: number, now: number): FirstPublish | undefined {
    if (identity === undefined) return undefined
    return this.#duplicates.find(identity, topic, now, index)
  }
}
