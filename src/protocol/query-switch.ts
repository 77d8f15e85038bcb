import { BrokerError } from './problem.ts'

/**
 * `?name`, `?name=true` and `?name=1` are true, `?name=false` and `?name=0` are false.
 *
 * @param fallback - where the query does not have it
 * @throws {BrokerError} `REQUEST_INVALID` for anything else, and when it is given twice
 */
export function parseSwitch(query: URLSearchParams, name: string, fallback = false): boolean {
  if (!query.has(name)) return fallback
  const value = query.getAll(name).join()
  if (value === 'false' || value === '0') return false
  if (value === '' || value === 'true' || value === '1') return true
  throw new BrokerError('REQUEST_INVALID', `?${name} is given once, as true or 1, or false or 0`)
}
