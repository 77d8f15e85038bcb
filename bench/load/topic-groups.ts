/**
 * Filters of which each topic matches one tenth, and no two alike. A topic has ten digits, and a group has
 * one digit fixed, in its place:
 *
 *     topics   bench/0/1/2/3/4/5/6/7/8/9   bench/1/2/3/4/5/6/7/8/9/0   ...
 *     filters  place 0, digit 0: 0 and nine wildcards; place 1, digit 0: a wildcard, 0, eight wildcards
 *
 * Of ten messages in a row each group is given exactly one, which tells them all apart.
 */
export interface TopicGroup {
  /** Which digit is fixed, 0 to 9. */
  readonly place: number
  readonly digit: number
}

export const PLACES = 10

export const TOPIC_GROUPS: readonly TopicGroup[] = Array.from(
  { length: PLACES * PLACES },
  (_, index) => ({ place: Math.floor(index / PLACES), digit: index % PLACES }),
)

/** The digits of the topic of the message with this number; there are 100 different ones. */
export function digitsOf(number: number): readonly number[] {
  const ten = Math.floor(number / PLACES)
  return Array.from({ length: PLACES }, (_, place) => (number + place * ten) % PLACES)
}

/** The segments of the filter of a group. */
export function patternOf({ place, digit }: TopicGroup): readonly string[] {
  return Array.from({ length: PLACES }, (_, at) => (at === place ? String(digit) : '*'))
}

/** The number of the message that a group is given as its `index`-th, from 0. */
export function numberInGroup({ place, digit }: TopicGroup, index: number): number {
  const offset = (digit - place * index) % PLACES
  return index * PLACES + (offset < 0 ? offset + PLACES : offset)
}
