import type { FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import { formatPosition } from '../../protocol/position.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { admitSubscriber } from '../delivery/admission.ts'
import type { Connections } from '../delivery/connections.ts'
import { composeGap, isGap } from '../delivery/gap.ts'
import { mayReceive } from '../delivery/may-receive.ts'
import { resumePoint } from '../delivery/resume-point.ts'
import { ToldLoss } from '../delivery/told-loss.ts'
import type { LogReader, StoredEvent } from '../log/event-log.ts'
import { TopicMatcher } from '../log/topic-matcher.ts'
import { readNumber, readStreamRequest } from './stream-request.ts'

const MAX_WAIT_SECONDS = 60

export interface PageServices {
  readonly log: LogReader
  readonly connections: Pick<Connections, 'add' | 'admit' | 'renew'>
}

/** What a page needs to know of a request. */
type PageRequest = Pick<FastifyRequest, 'raw' | 'principal' | 'ip'>

/** One page of history: `{position, complete, more, events}`. */
export async function httpPage(
  { log, connections }: PageServices,
  request: PageRequest,
): Promise<Buffer> {
  const { filter, since = 'earliest', query } = readStreamRequest(request.raw)
  const limit = readNumber(query, 'limit', { fallback: 100, min: 1, max: 1000 })
  const waitSeconds = readNumber(query, 'wait', { fallback: 0, max: MAX_WAIT_SECONDS })
  admitSubscriber(request.principal, filter)
  const { head } = log
  const { start, gap, lossTold } = await resumePoint(log, [filter], since, head)
  const toldLoss = new ToldLoss()
  toldLoss.begin(head, lossTold)
  const wanted = { filter, limit, toldLoss }
  const page = await readPage(log, request.principal, wanted, start)
  const isEmpty = page.events.length === 0 && gap === undefined && page.through === log.head
  if (!isEmpty || waitSeconds === 0) {
    const gaps = gap === undefined ? [] : [composeGap(gap, log.epoch, start)]
    return render(log, { ...page, events: [...gaps, ...page.events] })
  }
  const services = { log, connections }
  const { principal, after } = await nextEvent(services, request, filter, waitSeconds * 1000)
  admitSubscriber(principal, filter)
  return render(log, await readPage(log, principal, wanted, after))
}

interface WantedPage {
  readonly filter: TopicFilter
  readonly limit: number
  readonly toldLoss: ToldLoss
}

interface Page {
  /** `EVENTS MISSED` among them where something is lost. */
  readonly events: readonly StoredEvent[]
  readonly through: number
  readonly more: boolean
}

async function readPage(
  log: LogReader,
  { rights }: Principal,
  { filter, limit, toldLoss }: WantedPage,
  after: number,
): Promise<Page> {
  const found: StoredEvent[] = []
  let through = after
  let room = limit
  // One more than is wanted says whether there is more.
  while (through < log.head && room >= 0) {
    const page = await log.read({ after: through, filters: [filter], limit: room + 1 })
    const lost = await log.lossAfter(through, [filter])
    const loss = lost && toldLoss.next(lost, through, Infinity)
    const resumed = loss?.resumed ?? through
    if (loss !== undefined) found.push(trimmedGap(log.epoch, through, resumed))
    // Trimmed while it was being read: what is told to be lost does not come after all.
    const events = page.events.filter(
      ({ offset, topic }) => offset > resumed && mayReceive(rights, topic),
    )
    found.push(...events)
    room -= events.length
    through = Math.max(page.through, resumed)
  }
  if (room >= 0) return { events: found, through, more: false }
  found.pop()
  return { events: found, through: found.at(-1)?.offset ?? after, more: true }
}

function trimmedGap(epoch: string, after: number, resumed: number): StoredEvent {
  const [since, to] = [formatPosition(epoch, after), formatPosition(epoch, resumed)]
  return composeGap({ since, resumed: to, reason: 'trimmed' }, epoch, resumed)
}

/**
 * Waits until something that `filter` asks for is committed, time is up, the client is gone or the broker is
 * stopping.
 *
 * @returns who the client is by then, and up to where there is nothing for it
 * @throws {BrokerError} `CREDENTIAL_INVALID` as soon as its credential is removed
 */
async function nextEvent(
  { log, connections }: PageServices,
  request: PageRequest,
  filter: TopicFilter,
  waitMs: number,
): Promise<{ readonly principal: Principal; readonly after: number }> {
  const { raw } = request
  let { principal } = request
  connections.admit(principal.user, request.ip)
  const matcher = new TopicMatcher([filter])
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const end = () => resolve(log.head)
  const timer = setTimeout(end, waitMs)
  raw.once('close', end)
  // Its close was told before anybody listened.
  if (raw.socket.destroyed) end()
  const judge = (renewed: Principal | undefined) => {
    if (renewed === undefined) reject(new BrokerError('CREDENTIAL_INVALID', 'it was removed'))
    else principal = renewed
  }
  using _connection = connections.add({
    get principal() {
      return principal
    },
    address: request.ip,
    judge,
    tick: () => {},
    drain: end,
  })
  using _subscription = log.onCommit((events) => {
    const isWanted = ({ topic }: StoredEvent) =>
      matcher.matches(topic) && mayReceive(principal.rights, topic)
    const first = events.find(isWanted)
    if (first !== undefined) resolve(first.offset - 1)
  })
  // The users table may have changed while the log was read: nobody was there to be judged.
  judge(connections.renew(principal))
  try {
    const after = await promise
    return { principal, after }
  } finally {
    clearTimeout(timer)
    raw.off('close', end)
  }
}

/** Built by hand so that the bytes of the events pass unchanged. */
function render(log: LogReader, { events, through, more }: Page): Buffer {
  const head = {
    position: formatPosition(log.epoch, through),
    complete: !events.some(isGap),
    more,
  }
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head).slice(0, -1)},"events":[`)]
  for (const [i, { json }] of events.entries()) {
    if (i > 0) parts.push(Buffer.from(','))
    parts.push(json)
  }
  parts.push(Buffer.from(']}\n'))
  return Buffer.concat(parts)
}
