import { patternCovers, patternsOverlap } from '../../protocol/segment-pattern.ts'
import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { HistorySize, Loss } from './event-log.ts'
import { type Dropped, HistoryAccount, type Share } from './history-account.ts'
import type { HistoryBudget } from './history-budget.ts'
import { familyOf, HISTORY_FAMILIES, type HistoryFamily } from './stored-event.ts'

export interface Trimmed {
  readonly family: HistoryFamily
  readonly dropped: readonly Dropped[]
  /** What was dropped of the family: everything through this offset, before and now ... */
  readonly goneBefore: number
  readonly goneThrough: number
  /** ... and nothing after this one. */
  readonly lostThrough: number
}

/** What a log keeps, and what is lost to its readers: a budget for each family. */
export class History {
  readonly #accounts: Readonly<Record<HistoryFamily, HistoryAccount>>

  /** @param lostThrough - nothing after these offsets was dropped before */
  constructor(budget: HistoryBudget, lostThrough: Readonly<Record<HistoryFamily, number>>) {
    this.#accounts = {
      files: new HistoryAccount(budget, lostThrough.files),
      published: new HistoryAccount(budget, lostThrough.published),
    }
  }

  /** How many events are kept. */
  get events(): number {
    return this.#accounts.files.events + this.#accounts.published.events
  }

  /** What is kept of each family. */
  get sizes(): Readonly<Record<HistoryFamily, HistorySize>> {
    return this.#accounts
  }

  /** Counts an event; `HistoryAccount.add`. */
  add(topic: Topic, user: string | null, offset: number, bytes: number, time: number): Share {
    return this.#accounts[familyOf(topic)].add(user, offset, bytes, time)
  }

  /** Forgets what is over the budgets; what the log must drop, of those families of which something is. */
  trim(now: number): Trimmed[] {
    return HISTORY_FAMILIES.map((family) => {
      const account = this.#accounts[family]
      const goneBefore = account.goneThrough
      const dropped = account.trim(now)
      const { goneThrough, lostThrough } = account
      return { family, dropped, goneBefore, goneThrough, lostThrough }
    }).filter(({ dropped }) => dropped.length > 0)
  }

  /** What is lost to someone who reads on after `after`. */
  lossAfter(after: number, filters: readonly TopicFilter[]): Loss | undefined {
    const accounts = HISTORY_FAMILIES.filter((family) => concerns(family, filters)).map(
      (family) => this.#accounts[family],
    )
    const through = Math.max(after, ...accounts.map(({ lostThrough }) => lostThrough))
    if (through === after) return undefined
    const gone = Math.min(...accounts.map(({ goneThrough }) => goneThrough))
    return { resumed: Math.max(after, gone), through }
  }
}

/** True when an event of `family` could match one of `filters`. */
function concerns(family: HistoryFamily, filters: readonly TopicFilter[]): boolean {
  return filters.some((filter) =>
    family === 'files' ? patternsOverlap('files/**', filter) : !patternCovers('files/**', filter),
  )
}
