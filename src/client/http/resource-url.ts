import { parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError, type ProblemCode } from '../../protocol/problem.ts'
import type { Result } from '../../protocol/result.ts'
import { parseTopic } from '../../protocol/topic.ts'
import { parseTopicFilter } from '../../protocol/topic-filter.ts'

/*
 * Names are checked before they become a URL: the URL parser of fetch resolves `..` and `%2e%2e`, so that
 * a bad name would not be refused by the broker but name something else.
 */

/** @throws {BrokerError} `TOPIC_INVALID` */
export function topicUrl(topic: string): string {
  return `/events/${encode(checked(parseTopic(topic), 'TOPIC_INVALID'))}`
}

/** @throws {BrokerError} `FILTER_INVALID` */
export function filterUrl(filter: string): string {
  return `/events/${encode(checkedFilter(filter))}`
}

/** @throws {BrokerError} `FILTER_INVALID` */
export function checkedFilter(filter: string): string {
  return checked(parseTopicFilter(filter), 'FILTER_INVALID')
}

/** @throws {BrokerError} `PATH_INVALID` */
export function fileUrl(path: string): string {
  return `/files/${encode(checked(parseFilePath(path), 'PATH_INVALID'))}`
}

/**
 * @param directory - with or without trailing `/`; `''` for all files
 * @throws {BrokerError} `PATH_INVALID`
 */
export function directoryUrl(directory: string): string {
  const name = directory.replace(/^\/|\/$/g, '')
  return name === '' ? '/files/' : `${fileUrl(name)}/`
}

function encode(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}

function checked(result: Result<string>, code: ProblemCode): string {
  if (result.ok) return result.value
  throw new BrokerError(code, result.error)
}
