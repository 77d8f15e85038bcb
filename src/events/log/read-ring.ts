import type { LogPage, LogQuery, StoredEvent } from './event-log.ts'
import type { EventRing } from './event-ring.ts'
import { TopicMatcher } from './topic-matcher.ts'

/**
 * Reads a stretch out of memory.
 *
 * @param head - the newest committed offset: a stretch that was not cut by the limit reaches to there
 */
export function readRing(ring: EventRing, query: LogQuery, head: number): LogPage {
  const matcher = new TopicMatcher(query.filters)
  const events: StoredEvent[] = []
  for (const event of ring.after(query.after)) {
    if (!matcher.matches(event.topic)) continue
    events.push(event)
    if (events.length === query.limit) return { events, through: event.offset }
  }
  return { events, through: Math.max(head, query.after) }
}
