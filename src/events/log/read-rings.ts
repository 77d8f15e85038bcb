import type { LogPage, LogQuery, StoredEvent } from './event-log.ts'
import type { EventRing } from './event-ring.ts'
import { TopicMatcher } from './topic-matcher.ts'

/**
 * Reads a stretch out of memory, merging the rings by offset.
 *
 * @param head - the newest committed offset: a stretch that was not cut by the limit reaches to there
 * @param isKept - false for what a ring still holds and the history does not
 */
export function readRings(
  rings: readonly EventRing[],
  query: LogQuery,
  head: number,
  isKept: (event: StoredEvent) => boolean = () => true,
): LogPage {
  const matcher = new TopicMatcher(query.filters)
  const events: StoredEvent[] = []
  for (const event of merged(rings.map((ring) => ring.after(query.after)))) {
    if (!matcher.matches(event.topic) || !isKept(event)) continue
    events.push(event)
    if (events.length === query.limit) return { events, through: event.offset }
  }
  return { events, through: Math.max(head, query.after) }
}

function* merged(sources: readonly Generator<StoredEvent>[]): Generator<StoredEvent> {
  const heads = sources.map((source) => ({ source, next: source.next() }))
  for (;;) {
    let first: (typeof heads)[number] | undefined
    for (const candidate of heads) {
      if (candidate.next.done) continue
      if (first?.next.done !== false || candidate.next.value.offset < first.next.value.offset) {
        first = candidate
      }
    }
    if (first === undefined || first.next.done) return
    yield first.next.value
    first.next = first.source.next()
  }
}
