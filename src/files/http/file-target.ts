import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseRequestTarget } from '../../protocol/request-target.ts'

/** What a request below `/files` is about. */
export interface FileTarget {
  /** `''` for the root, which is a directory. */
  readonly path: FilePath | ''
  readonly isDirectory: boolean
  readonly query: URLSearchParams
}

/**
 * @param target - the raw request target, below `/files`
 * @throws {BrokerError} `TARGET_INVALID`, `PATH_INVALID`
 */
export function parseFileTarget(target: string): FileTarget {
  const { segments, isDirectory } = parseRequestTarget(target)
  const query = new URLSearchParams(/\?([^#]*)/.exec(target)?.[1] ?? '')
  const names = segments.slice(1)
  if (names.length === 0) return { path: '', isDirectory: true, query }
  const path = parseFilePath(names.join('/'))
  if (!path.ok) throw new BrokerError('PATH_INVALID', path.error)
  return { path: path.value, isDirectory, query }
}

/** The path of a request that must name a file. @throws {BrokerError} as above; `REQUEST_INVALID` */
export function parseFileName(target: string): FilePath {
  const { path, isDirectory } = parseFileTarget(target)
  if (path !== '' && !isDirectory) return path
  throw new BrokerError('REQUEST_INVALID', 'the path of a file does not end with a slash')
}

/** A path as it is written in a URL. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}
