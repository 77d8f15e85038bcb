import { formatPosition } from '../../protocol/position.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { StoredEvent } from './event-log.ts'

/** Completes an event with its position: from here on the same bytes leave by every door. */
export function storeEvent(epoch: string, offset: number, topic: Topic, json: string): StoredEvent {
  const text = `${json},"position":"${formatPosition(epoch, offset)}"}`
  return { offset, topic, json: Buffer.from(text) }
}

/** Bytes that an event counts against the budgets of the history. */
export function sizeOf({ json }: StoredEvent): number {
  return json.length
}

/**
 * File changes have a budget of their own, so that a flood of publishes cannot push out what tells a
 * mirror that it is behind, nor the other way round.
 */
export const HISTORY_FAMILIES = ['files', 'published'] as const

export type HistoryFamily = (typeof HISTORY_FAMILIES)[number]

export function familyOf(topic: Topic): HistoryFamily {
  return topic.startsWith('files/') ? 'files' : 'published'
}
