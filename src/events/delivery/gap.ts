import { ulid } from 'ulid'
import type { Topic } from '../../protocol/topic.ts'
import type { StoredEvent } from '../log/event-log.ts'
import { storeEvent } from '../log/stored-event.ts'
import { composeOwnEvent } from '../publish/compose-event.ts'

const MISSED = 'broker/missed' as Topic

/** Fell out of the history; a position of another log; fell out while the client was slow. */
export type GapReason = 'trimmed' | 'epoch' | 'slow'

/** What a stream could not bring. */
export interface Gap {
  /** The position that was asked for. */
  readonly since: string
  /** Everything kept after it follows. */
  readonly resumed: string
  readonly reason: GapReason
}

/**
 * The event `EVENTS MISSED`: never stored, sent on one stream before the first event after the gap.
 *
 * @param offset - that of `resumed`, which is the position of the event too
 */
export function composeGap(gap: Gap, epoch: string, offset: number): StoredEvent {
  const { topic, json } = composeOwnEvent({
    topic: MISSED,
    type: 'EVENTS MISSED',
    source: '/broker',
    id: ulid(),
    time: new Date().toISOString(),
    data: gap,
  })
  return storeEvent(epoch, offset, topic, json)
}

/** True for what `composeGap` made: nobody else can publish there. */
export function isGap({ topic }: StoredEvent): boolean {
  return topic === MISSED
}
