import type { FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import { formatPosition } from '../../protocol/position.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { admitSubscriber } from '../delivery/admission.ts'
import type { Connections } from '../delivery/connections.ts'
import { composeGap } from '../delivery/gap.ts'
import { mayReceive } from '../delivery/may-receive.ts'
import { resumePoint } from '../delivery/resume-point.ts'
import type { LogReader, StoredEvent } from '../log/event-log.ts'
import { TopicMatcher } from '../log/topic-matcher.ts'
import { readNumber, readStreamRequest } from './stream-request.ts'

const MAX_WAIT_SECONDS = 60

export interface PageServices {
  readonly log: LogReader
  readonly connections: Pick<Connections, 'add' | 'admit'>
}

/** One page of history: `{position, complete, more, events}`. */
export async function httpPage(
  { log, connections }: PageServices,
  request: FastifyRequest,
): Promise<Buffer> {
  const { filter, since = 'earliest', query } = readStreamRequest(request.raw)
  const limit = readNumber(query, 'limit', { fallback: 100, min: 1, max: 1000 })
  const waitSeconds = readNumber(query, 'wait', { fallback: 0, max: MAX_WAIT_SECONDS })
  admitSubscriber(request.principal, filter)
  const { start, gap } = await resumePoint(log, [filter], since, log.head)
  const page = await readPage(log, request.principal, filter, start, limit)
  const isEmpty = page.events.length === 0 && gap === undefined && page.through === log.head
  if (!isEmpty || waitSeconds === 0)
    return render(log, page, gap && composeGap(gap, log.epoch, start))
  const services = { log, connections }
  const principal = await nextEvent(services, request, filter, waitSeconds * 1000)
  admitSubscriber(principal, filter)
  return render(log, await readPage(log, principal, filter, start, limit), undefined)
}

interface Page {
  readonly events: readonly StoredEvent[]
  readonly through: number
  readonly more: boolean
}

async function readPage(
  log: LogReader,
  { rights }: Principal,
  filter: TopicFilter,
  start: number,
  limit: number,
): Promise<Page> {
  const events: StoredEvent[] = []
  let through = start
  // One more than is wanted says whether there is more.
  while (through < log.head && events.length <= limit) {
    const wanted = limit + 1 - events.length
    const page = await log.read({ after: through, filters: [filter], limit: wanted })
    events.push(...page.events.filter(({ topic }) => mayReceive(rights, topic)))
    through = page.through
  }
  if (events.length <= limit) return { events, through, more: false }
  const shown = events.slice(0, limit)
  return { events: shown, through: shown.at(-1)?.offset ?? start, more: true }
}

/**
 * Waits until something that `filter` asks for is committed, time is up, the client is gone or the broker is
 * stopping.
 *
 * @returns who the client is by then
 * @throws {BrokerError} `CREDENTIAL_INVALID` as soon as its credential is removed
 */
async function nextEvent(
  { log, connections }: PageServices,
  request: FastifyRequest,
  filter: TopicFilter,
  waitMs: number,
): Promise<Principal> {
  const { raw } = request
  let { principal } = request
  connections.admit(principal.user, request.ip)
  const matcher = new TopicMatcher([filter])
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, waitMs)
  raw.once('close', resolve)
  using _connection = connections.add({
    get principal() {
      return principal
    },
    address: request.ip,
    judge: (renewed) => {
      if (renewed === undefined) reject(new BrokerError('CREDENTIAL_INVALID', 'it was removed'))
      else principal = renewed
    },
    tick: () => {},
    drain: () => resolve(),
  })
  using _subscription = log.onCommit((events) => {
    const isWanted = ({ topic }: StoredEvent) =>
      matcher.matches(topic) && mayReceive(principal.rights, topic)
    if (events.some(isWanted)) resolve()
  })
  try {
    await promise
    return principal
  } finally {
    clearTimeout(timer)
    raw.off('close', resolve)
  }
}

/** Built by hand so that the bytes of the events pass unchanged. */
function render(log: LogReader, page: Page, gap: StoredEvent | undefined): Buffer {
  const events = gap === undefined ? page.events : [gap, ...page.events]
  const head = {
    position: formatPosition(log.epoch, page.through),
    complete: gap === undefined,
    more: page.more,
  }
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head).slice(0, -1)},"events":[`)]
  for (const [i, { json }] of events.entries()) {
    if (i > 0) parts.push(Buffer.from(','))
    parts.push(json)
  }
  parts.push(Buffer.from(']}\n'))
  return Buffer.concat(parts)
}
