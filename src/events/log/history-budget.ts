import { patternCovers, patternsOverlap } from '../../protocol/segment-pattern.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { Loss } from './event-log.ts'
import type { HistoryFamily } from './stored-event.ts'

/** What a log keeps of one family; whichever is reached first. */
export interface HistoryBudget {
  readonly events: number
  readonly bytes: number
  readonly ageMs: number
}

/** True when an event of `family` could match one of `filters`. */
function concerns(family: HistoryFamily, filters: readonly TopicFilter[]): boolean {
  return filters.some((filter) =>
    family === 'files' ? patternsOverlap('files/**', filter) : !patternCovers('files/**', filter),
  )
}

/** What is lost after `after`, given up to where each family was trimmed. */
export function lossOf(
  trimmed: Readonly<Record<HistoryFamily, number>>,
  after: number,
  filters: readonly TopicFilter[],
): Loss | undefined {
  const ends = (['files', 'published'] as const)
    .filter((family) => concerns(family, filters))
    .map((family) => Math.max(trimmed[family], after))
  const through = Math.max(after, ...ends)
  return through === after ? undefined : { resumed: Math.min(...ends), through }
}

interface Block {
  /** Offset of its newest event. */
  through: number
  events: number
  bytes: number
  /** Of its oldest and its newest event, milliseconds since the epoch. */
  readonly since: number
  until: number
}

/** The history is dropped in about this many steps: exact for small budgets, cheap for large ones. */
const BLOCKS_PER_BUDGET = 256

/**
 * Counts what a log keeps of one family and says up to where it must drop, without asking the log: the
 * history is seen as blocks of neighbouring events, oldest first.
 */
export class HistoryAccount {
  readonly #budget: HistoryBudget
  readonly #blocks: Block[] = []
  #events = 0
  #bytes = 0

  constructor(budget: HistoryBudget) {
    this.#budget = budget
  }

  add(offset: number, bytes: number, time: number): void {
    const { events: maxEvents, bytes: maxBytes, ageMs } = this.#budget
    const last = this.#blocks.at(-1)
    const isFull =
      last === undefined ||
      last.events >= maxEvents / BLOCKS_PER_BUDGET ||
      last.bytes >= maxBytes / BLOCKS_PER_BUDGET ||
      time - last.since >= ageMs / BLOCKS_PER_BUDGET
    if (isFull) {
      this.#blocks.push({ through: offset, events: 1, bytes, since: time, until: time })
    } else {
      last.through = offset
      last.events += 1
      last.bytes += bytes
      last.until = time
    }
    this.#events += 1
    this.#bytes += bytes
  }

  /** Forgets what is over the budget; returns the offset through which the log must drop, if any. */
  trim(now: number): number | undefined {
    const { events, bytes, ageMs } = this.#budget
    let through: number | undefined
    let dropped = 0
    for (const block of this.#blocks) {
      const isOver = this.#events > events || this.#bytes > bytes || block.until <= now - ageMs
      if (!isOver) break
      this.#events -= block.events
      this.#bytes -= block.bytes
      through = block.through
      dropped += 1
    }
    this.#blocks.splice(0, dropped)
    return through
  }
}
