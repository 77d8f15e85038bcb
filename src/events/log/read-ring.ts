import type { LogPage, LogQuery, StoredEvent } from './event-log.ts'
import type { EventRing } from './event-ring.ts'
import { TopicMatcher } from './topic-matcher.ts'

/** A page goes to one connection at once, which is to hold no more than about this. */
const MAX_PAGE_BYTES = 1024 * 1024

/**
 * Reads a stretch out of memory.
 *
 * @param head - the newest committed offset: a stretch that was not cut reaches to there
 */
export function readRing(ring: EventRing, query: LogQuery, head: number): LogPage {
  const matcher = new TopicMatcher(query.filters)
  const matching = ring.after(query.after).filter(({ topic }) => matcher.matches(topic))
  return pageOf(matching, query, head)
}

/**
 * The first of `matching`, as many as the limit and 1 MiB allow, and one at least.
 *
 * @param end - a page that was not cut reaches to there
 */
export function pageOf(
  matching: Iterable<StoredEvent>,
  { after, limit }: LogQuery,
  end: number,
): LogPage {
  const events: StoredEvent[] = []
  let bytes = 0
  for (const event of matching) {
    events.push(event)
    bytes += event.json.length
    if (events.length === limit || bytes >= MAX_PAGE_BYTES) {
      return { events, through: event.offset }
    }
  }
  return { events, through: Math.max(end, after) }
}
