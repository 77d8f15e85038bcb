import type { IncomingMessage } from 'node:http'
import { parseSince, type Since } from '../../protocol/position.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseRequestTarget } from '../../protocol/request-target.ts'
import { ALL_TOPICS, parseTopicFilter, type TopicFilter } from '../../protocol/topic-filter.ts'

/** What `GET /events/{filter}` asks for, in whichever form. */
export interface StreamRequest {
  readonly filter: TopicFilter
  /** Undefined when the request does not say. */
  readonly since: Since | undefined
  readonly query: URLSearchParams
}

/** @throws {BrokerError} `FILTER_INVALID`, `POSITION_INVALID`, `TARGET_INVALID` */
export function readStreamRequest({
  url = '',
  headers,
}: Pick<IncomingMessage, 'url' | 'headers'>): StreamRequest {
  const { segments, isDirectory } = parseRequestTarget(url)
  const names = [...segments.slice(1), ...(isDirectory && segments.length > 1 ? [''] : [])]
  const filter =
    names.length === 0
      ? { ok: true as const, value: ALL_TOPICS }
      : parseTopicFilter(names.join('/'))
  if (!filter.ok) throw new BrokerError('FILTER_INVALID', filter.error)
  const query = new URLSearchParams(url.split('#', 1)[0]?.split('?').slice(1).join('?'))
  const lastEventId = headers['last-event-id']
  const given =
    typeof lastEventId === 'string' && lastEventId !== '' ? lastEventId : query.get('since')
  return { filter: filter.value, since: sinceOf(given), query }
}

function sinceOf(text: string | null): Since | undefined {
  if (text === null || text === '') return undefined
  const since = parseSince(text)
  if (!since.ok) throw new BrokerError('POSITION_INVALID', since.error)
  return since.value
}

/** A whole number of the query within bounds. @throws {BrokerError} `REQUEST_INVALID` */
export function readNumber(
  query: URLSearchParams,
  name: string,
  {
    fallback,
    min = 0,
    max,
  }: { readonly fallback: number; readonly min?: number; readonly max: number },
): number {
  const text = query.get(name)
  if (text === null) return fallback
  const value = Number(text)
  if (!/^\d{1,9}$/.test(text) || value < min || value > max) {
    throw new BrokerError('REQUEST_INVALID', `${name} is a whole number from ${min} to ${max}`)
  }
  return value
}
