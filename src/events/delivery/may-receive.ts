import type { Rights } from '../../auth/principal.ts'
import { pathOfTopic } from '../../protocol/file-topic.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'

/** True when an event on `topic` may be delivered: of a file's change only who may list the file hears. */
export function mayReceive(rights: Rights, topic: Topic): boolean {
  if (!rights.may('subscribe', topic)) return false
  if (!topic.startsWith('files/')) return true
  const path = pathOfTopic(topic)
  return path !== undefined && rights.may('list', path)
}

/** True when every event that `filter` asks for may be delivered, what is said of the users file aside. */
export function mayReceiveAll(rights: Rights, filter: TopicFilter): boolean {
  if (!rights.covers('subscribe', filter)) return false
  if (filter === '**' || filter === 'files/**') return rights.covers('list', '**')
  if (filter.startsWith('*')) return rights.covers('list', '**')
  return !filter.startsWith('files/') || rights.covers('list', filter.slice('files/'.length))
}
