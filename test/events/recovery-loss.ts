import assert from 'node:assert/strict'
import { familyOf } from '../../src/events/log/stored-event.ts'
import { patternsOverlap } from '../../src/protocol/segment-pattern.ts'
import type { TopicFilter } from '../../src/protocol/topic-filter.ts'
import { type Message, offsetOf } from './recovery-connection.ts'
import { type Committed, isGone, type Ledger, type Moment } from './recovery-ledger.ts'

/** What the client knows to be lost. */
export interface Missed {
  readonly moment: Moment
  /** After it; undefined when everything that is gone is meant. */
  readonly since: string | undefined
}

export function missedBy(gap: Message & { readonly kind: 'gap' }): Missed {
  const { moment, count, since, reason } = gap
  return { moment: { ...moment, count }, since: reason === 'epoch' ? undefined : since }
}

export function covers({ moment, since }: Missed, event: Committed): boolean {
  if (!isGone(event, moment)) return false
  return (
    since === undefined || !since.startsWith(`${event.epoch}:`) || event.offset > offsetOf(since)
  )
}

/** A gap is told only when something that could concern its reader is gone. */
export function checkGap(
  { since, moment, reason }: Message & { readonly kind: 'gap' },
  filters: readonly TopicFilter[],
  ledger: Ledger,
): void {
  const isOther = !since.startsWith(`${moment.epoch}:`) || offsetOf(since) > moment.head
  assert.equal(reason === 'epoch', isOther)
  if (isOther) return
  const isReal = ledger.events.some(
    (event) =>
      event.epoch === moment.epoch &&
      event.offset > offsetOf(since) &&
      isGone(event, moment) &&
      (familyOf(event.topic) === 'published' ||
        filters.some((filter) => patternsOverlap('files/**', filter))),
  )
  assert.ok(isReal, `a gap after ${since} is told and nothing is gone`)
}
