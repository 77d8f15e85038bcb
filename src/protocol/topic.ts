import type { Branded } from './branded.ts'
import { err, ok, type Result } from './result.ts'
import { hasControlCharacter, nameFault } from './text.ts'

/** Where an event is published, e.g. `ci/jenkins/build`. Holds no wildcard. */
export type Topic = Branded<'Topic'>

/** Longest topic and filter, in bytes of UTF-8. */
export const MAX_TOPIC_BYTES = 4096

/** Most segments of a topic and a filter. */
export const MAX_TOPIC_SEGMENTS = 64

/**
 * Checks `text` against the topic grammar: 1 to 64 segments joined by `/`, none empty, `.` or `..`.
 *
 * @param text - untrusted and already percent-decoded; never trimmed or normalised here
 * @returns the topic, or the rule it breaks, in words fit for a user
 */
export function parseTopic(text: string): Result<Topic> {
  const fault = topicFault(text, isTopicSegment)
  return fault === undefined ? ok(text as Topic) : err(`topic: ${fault}`)
}

/** The rule that topics and filters share; `isSegment` is where they differ. */
export function topicFault(
  text: string,
  isSegment: (segment: string, isLast: boolean) => boolean,
): string | undefined {
  const fault = nameFault(text, MAX_TOPIC_BYTES)
  if (fault !== undefined) return fault
  const segments = text.split('/')
  if (segments.length > MAX_TOPIC_SEGMENTS) return `more than ${MAX_TOPIC_SEGMENTS} segments`
  const bad = segments.find((segment, i) => !isSegment(segment, i === segments.length - 1))
  return bad === undefined ? undefined : `bad segment ${JSON.stringify(bad)}`
}

/** True for a segment that a topic may hold. */
export function isTopicSegment(segment: string): boolean {
  return (
    segment !== '' &&
    segment !== '.' &&
    segment !== '..' &&
    !segment.includes('*') &&
    !hasControlCharacter(segment)
  )
}

/** Topics under `files/` and `broker/` are told by the broker itself and by nobody else. */
export function isReservedTopic(topic: Topic): boolean {
  return (
    topic.startsWith('files/') ||
    topic.startsWith('broker/') ||
    topic === 'files' ||
    topic === 'broker'
  )
}
