import { BrokerError } from './problem.ts'

/**
 * `?name`, `?name=true` and `?name=1` are true.
 *
 * @param fallback - where the query does not have it
 * @throws {BrokerError} `REQUEST_INVALID`
 */
export function parseSwitch(query: URLSearchParams, name: string, fallback = false): boolean {
  const value = query.get(name)
  if (value === null) return fallback
  if (value === 'false' || value === '0') return false
  if (value === '' || value === 'true' || value === '1') return true
  throw new BrokerError('REQUEST_INVALID', `${name} is true or false`)
}
