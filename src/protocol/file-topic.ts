import { type FilePath, parseFilePath } from './file-path.ts'
import type { Topic } from './topic.ts'

const PREFIX = 'files/'

/**
 * The topic on which a change of `path` is told. A topic holds no `*`, and `%` marks what was encoded:
 * those two are percent-encoded, nothing else (a path holds no control character).
 */
export function topicOfPath(path: FilePath): Topic {
  return (PREFIX + path.replaceAll('%', '%25').replaceAll('*', '%2A')) as Topic
}

/** The path whose changes are told on `topic`, or undefined when it is no topic of a file. */
export function pathOfTopic(topic: Topic): FilePath | undefined {
  if (!topic.startsWith(PREFIX)) return undefined
  const text = topic.slice(PREFIX.length)
  const path = parseFilePath(text.replaceAll('%2A', '*').replaceAll('%25', '%'))
  return path.ok ? path.value : undefined
}
