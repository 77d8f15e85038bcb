import type { EventDraft, EventLog, StoredEvent } from '../../src/events/log/event-log.ts'
import type { Topic } from '../../src/protocol/topic.ts'
import type { TopicFilter } from '../../src/protocol/topic-filter.ts'

/** A draft whose data is `data`, published by `user`. */
export function draft(
  topic: string,
  data: unknown,
  options: { identity?: string; user?: string } = {},
): EventDraft {
  const { identity, user = 'tester' } = options
  const id = `id-${JSON.stringify(data)}`
  return {
    topic: topic as Topic,
    id,
    user,
    json: `{"specversion":"1.0","id":${JSON.stringify(id)},"data":${JSON.stringify(data)}`,
    ...(identity !== undefined && { identity }),
  }
}

export function filters(...texts: string[]): TopicFilter[] {
  return texts as TopicFilter[]
}

/** The data of events, in order. */
export function dataOf(events: readonly Pick<StoredEvent, 'json'>[]): unknown[] {
  return events.map(({ json }) => JSON.parse(json.toString()).data)
}

/** Everything after `after` that matches, however many reads it takes. */
export async function readAll(log: EventLog, after: number, ...texts: string[]) {
  const events: StoredEvent[] = []
  for (let at = after; at < log.head; ) {
    const page = await log.read({ after: at, filters: filters(...texts), limit: 7 })
    events.push(...page.events)
    at = page.through
  }
  return events
}
