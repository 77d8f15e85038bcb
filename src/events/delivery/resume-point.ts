import { formatPosition, type Since } from '../../protocol/position.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import { isOfLog, type LogReader, type Loss } from '../log/event-log.ts'
import type { Gap } from './gap.ts'

/** From where a subscriber is served, and what it must be told first. */
export interface ResumePoint {
  /** Everything kept after this offset follows. */
  readonly start: number
  /** What is trimmed through here is told, or was not asked for. */
  readonly lossTold: Loss
  /** `EVENTS MISSED`, when something after `since` is lost. */
  readonly gap?: Gap
}

/**
 * Finds where `since` lies in the log. A position of another log, or beyond the head, starts all over.
 *
 * @param head - where `latest` is
 */
export async function resumePoint(
  log: LogReader,
  filters: readonly TopicFilter[],
  since: Since,
  head: number,
): Promise<ResumePoint> {
  if (since === 'latest') return { start: head, lossTold: nothingAfter(head) }
  const lostFromStart = (await log.lossAfter(0, filters)) ?? nothingAfter(0)
  if (since === 'earliest') return { start: 0, lossTold: lostFromStart }
  const asked = formatPosition(since.epoch, since.offset)
  if (!isOfLog(since, log)) {
    const gap = { since: asked, resumed: formatPosition(log.epoch, 0), reason: 'epoch' } as const
    return { start: 0, lossTold: lostFromStart, gap }
  }
  const loss = await log.lossAfter(since.offset, filters)
  if (loss === undefined || since.offset >= head) {
    return { start: since.offset, lossTold: nothingAfter(since.offset) }
  }
  // What was committed after `head` and is lost already is told when it cannot be read.
  const start = Math.min(loss.resumed, head)
  const resumed = formatPosition(log.epoch, start)
  return { start, lossTold: loss, gap: { since: asked, resumed, reason: 'trimmed' } }
}

function nothingAfter(offset: number): Loss {
  return { resumed: offset, through: offset }
}
