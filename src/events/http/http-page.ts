import type { Principal } from '../../auth/principal.ts'
import { formatPosition } from '../../protocol/position.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { admitSubscriber } from '../delivery/admission.ts'
import { composeGap, isGap } from '../delivery/gap.ts'
import { mayReceive } from '../delivery/may-receive.ts'
import { resumePoint } from '../delivery/resume-point.ts'
import { ToldLoss } from '../delivery/told-loss.ts'
import type { LogReader, StoredEvent } from '../log/event-log.ts'
import { openLongPoll, type PollRequest, type PollServices } from './long-poll.ts'
import { readNumber, readStreamRequest } from './stream-request.ts'

const MAX_WAIT_SECONDS = 60

/** One page of history, of what is there when it is asked for: `{position, complete, more, events}`. */
export async function httpPage(services: PollServices, request: PollRequest): Promise<Buffer> {
  const { filter, since = 'earliest', query } = readStreamRequest(request.raw)
  const limit = readNumber(query, 'limit', { fallback: 100, min: 1, max: 1000 })
  const waitSeconds = readNumber(query, 'wait', { fallback: 0, max: MAX_WAIT_SECONDS })
  admitSubscriber(request.principal, filter)
  const { log } = services
  const { head } = log
  using poll = openLongPoll(services, request, { filter, waitMs: waitSeconds * 1000 })
  const { start, gap, lossTold } = await resumePoint(log, [filter], since, head)
  const toldLoss = new ToldLoss()
  toldLoss.begin(head, lossTold)
  const wanted = { filter, limit, toldLoss }
  const page = await readPage(log, request.principal, wanted, { after: start, to: head })
  const isEmpty = page.events.length === 0 && gap === undefined
  if (!isEmpty || poll === undefined) {
    const gaps = gap === undefined ? [] : [composeGap(gap, log.epoch, start)]
    return render(log, { ...page, events: [...gaps, ...page.events] })
  }
  const { principal, after, to } = await poll.ended
  admitSubscriber(principal, filter)
  return render(log, await readPage(log, principal, wanted, { after: Math.max(after, start), to }))
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

/** What is committed after `to` is judged by the rights of then: it belongs to the next page. */
async function readPage(
  log: LogReader,
  { rights }: Principal,
  { filter, limit, toldLoss }: WantedPage,
  { after, to }: { readonly after: number; readonly to: number },
): Promise<Page> {
  const found: StoredEvent[] = []
  let through = after
  let room = limit
  // One more than is wanted says whether there is more.
  while (through < to && room >= 0) {
    const page = await log.read({ after: through, filters: [filter], limit: room + 1 })
    const lost = await log.lossAfter(through, [filter])
    const loss = lost && toldLoss.next(lost, through, to)
    const resumed = loss?.resumed ?? through
    if (loss !== undefined) found.push(trimmedGap(log.epoch, through, resumed))
    // Trimmed while it was being read: what is told to be lost does not come after all.
    const events = page.events.filter(
      ({ offset, topic }) => offset > resumed && offset <= to && mayReceive(rights, topic),
    )
    found.push(...events)
    room -= events.length
    through = Math.min(Math.max(page.through, resumed), to)
  }
  if (room >= 0) return { events: found, through, more: false }
  found.pop()
  return { events: found, through: found.at(-1)?.offset ?? after, more: true }
}

function trimmedGap(epoch: string, after: number, resumed: number): StoredEvent {
  const [since, to] = [formatPosition(epoch, after), formatPosition(epoch, resumed)]
  return composeGap({ since, resumed: to, reason: 'trimmed' }, epoch, resumed)
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
