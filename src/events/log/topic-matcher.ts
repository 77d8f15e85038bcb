import type { Topic } from '../../protocol/topic.ts'
import { filterMatches, type TopicFilter } from '../../protocol/topic-filter.ts'

/** Topics remembered before the memory is dropped and filled anew. */
const MAX_REMEMBERED = 10_000

/** Asks a set of filters about topics that come again and again. */
export class TopicMatcher {
  readonly #filters: readonly TopicFilter[]
  readonly #answers = new Map<Topic, boolean>()

  constructor(filters: readonly TopicFilter[]) {
    this.#filters = filters
  }

  matches(topic: Topic): boolean {
    const known = this.#answers.get(topic)
    if (known !== undefined) return known
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear()
    const answer = this.#filters.some((filter) => filterMatches(filter, topic))
    this.#answers.set(topic, answer)
    return answer
  }
}
