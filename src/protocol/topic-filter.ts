import type { Branded } from './branded.ts'
import { err, ok, type Result } from './result.ts'
import { patternMatches } from './segment-pattern.ts'
import { isTopicSegment, type Topic, topicFault } from './topic.ts'

/** What a subscriber asks for, e.g. `ci/*` or `files/**`. Every topic is a filter. */
export type TopicFilter = Branded<'TopicFilter'>

/** The filter that every topic matches. */
export const ALL_TOPICS = '**' as TopicFilter

/**
 * Checks `text` against the filter grammar: a topic in which a whole segment may be `*` and the last `**`.
 *
 * @param text - untrusted and already percent-decoded
 * @returns the filter, or the rule it breaks, in words fit for a user
 */
export function parseTopicFilter(text: string): Result<TopicFilter> {
  const fault = topicFault(text, isFilterSegment)
  return fault === undefined ? ok(text as TopicFilter) : err(`filter: ${fault}`)
}

function isFilterSegment(segment: string, isLast: boolean): boolean {
  return segment === '*' || (segment === '**' && isLast) || isTopicSegment(segment)
}

/** True when `topic` is one that `filter` asks for. */
export function filterMatches(filter: TopicFilter, topic: Topic): boolean {
  return patternMatches(filter, topic)
}
