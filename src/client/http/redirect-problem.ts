import { BrokerError } from '../../protocol/problem.ts'

/**
 * What an answer that leads elsewhere tells; undefined for any other. None is followed: a publish would
 * become a GET, and the listing of a directory the content of a file. Browsers do not say where it leads.
 *
 * @param url - that was asked
 * @param file - its path, when a file was asked for: the broker leads to a directory of that name
 */
export function redirectProblem(
  response: Response,
  url: string,
  file: string | undefined,
): BrokerError | undefined {
  const location = response.headers.get('location')
  const isRedirect = response.status >= 300 && response.status < 400 && location !== null
  if (!isRedirect && response.type !== 'opaqueredirect') return undefined
  if (file !== undefined && location?.endsWith('/') !== false) {
    return new BrokerError('PATH_CONFLICT', `${file} is a directory`)
  }
  const target = location === null ? null : URL.parse(location, url)
  const where = target === null ? 'elsewhere' : `to ${target.origin}`
  return new BrokerError(
    'REQUEST_INVALID',
    `${new URL(url).origin} leads ${where}: is the URL right?`,
  )
}
