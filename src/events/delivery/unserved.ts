import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { StoredEvent } from '../log/event-log.ts'
import { TopicMatcher } from '../log/topic-matcher.ts'

/**
 * Tells what a stream was not given yet.
 *
 * @param served - its filters, each with the offset after which it is served
 */
export function unservedBy(
  served: ReadonlyMap<TopicFilter, number>,
): (event: StoredEvent) => boolean {
  const matchers = [...served].map(([filter, after]) => ({
    after,
    matcher: new TopicMatcher([filter]),
  }))
  return ({ offset, topic }) =>
    !matchers.some(({ after, matcher }) => offset > after && matcher.matches(topic))
}
