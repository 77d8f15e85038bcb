import type { HistoryBudget } from './history-budget.ts'

/** What one user holds of a history. */
export interface Share {
  readonly user: string | null
  /** Everything of it through this offset was dropped. */
  readonly droppedThrough: number
}

/** A stretch of one user's events that a log must drop. */
export interface Dropped {
  readonly user: string | null
  /** Offsets of the oldest and the newest event; those of others may lie between them. */
  readonly first: number
  readonly through: number
}

interface Block {
  readonly share: OpenShare
  readonly first: number
  through: number
  events: number
  bytes: number
  /** Of its oldest and its newest event, milliseconds since the epoch. */
  readonly since: number
  until: number
  /** Neighbours in the order of their first events. */
  older: Block | undefined
  newer: Block | undefined
  /** The next block of the same user. */
  nextOfShare: Block | undefined
}

interface OpenShare extends Share {
  droppedThrough: number
  events: number
  bytes: number
  oldest: Block | undefined
  newest: Block | undefined
}

/** The history is dropped in about this many steps: exact for small budgets, cheap for large ones. */
const STEPS_PER_BUDGET = 256

/**
 * Counts what a log keeps and says what it must drop, without asking the log: the history is seen as
 * blocks of neighbouring events of one user.
 *
 * Over the budget, the oldest of a user who holds more than half of it goes first, so that nobody can push
 * out what others published; when nobody does, the oldest of all. Age is the same for everybody.
 */
export class HistoryAccount {
  readonly #budget: HistoryBudget
  readonly #shares = new Map<string | null, OpenShare>()
  /** Those that hold more than half of the budget. */
  readonly #large = new Set<OpenShare>()
  #oldest: Block | undefined
  #newest: Block | undefined
  #events = 0
  #bytes = 0
  #lostThrough: number

  /** @param lostThrough - nothing after this offset was dropped before */
  constructor(budget: HistoryBudget, lostThrough = 0) {
    this.#budget = budget
    this.#lostThrough = lostThrough
  }

  /** How many events are kept. */
  get events(): number {
    return this.#events
  }

  /** Bytes of them. */
  get bytes(): number {
    return this.#bytes
  }

  /** Nothing after this offset was dropped. */
  get lostThrough(): number {
    return this.#lostThrough
  }

  /** Everything through this offset was dropped. */
  get goneThrough(): number {
    return Math.min(this.#lostThrough, (this.#oldest?.first ?? Infinity) - 1)
  }

  /**
   * Counts an event; they come in the order of offsets.
   *
   * @param time - milliseconds since the epoch
   */
  add(user: string | null, offset: number, bytes: number, time: number): Share {
    const share = this.#shareOf(user)
    const block = this.#openBlock(share, offset, time)
    block.through = offset
    block.until = time
    this.#count(block, 1, bytes)
    block.events += 1
    block.bytes += bytes
    return share
  }

  /** Forgets what is over the budget, and returns it. */
  trim(now: number): Dropped[] {
    const { events, bytes, ageMs } = this.#budget
    const dropped: Dropped[] = []
    while (this.#oldest !== undefined && this.#oldest.until <= now - ageMs) {
      dropped.push(this.#drop(this.#oldest))
    }
    if (this.#events <= events && this.#bytes <= bytes) return dropped
    // A whole step at once: a log pays for each time that it is told to drop something.
    const [leastEvents, leastBytes] = [withoutStep(events), withoutStep(bytes)]
    while (this.#events > leastEvents || this.#bytes > leastBytes) {
      const block = this.#oldestOfLarge() ?? this.#oldest
      if (block === undefined) break
      dropped.push(this.#drop(block))
    }
    return dropped
  }

  #shareOf(user: string | null): OpenShare {
    let share = this.#shares.get(user)
    if (share === undefined) {
      const blocks = { oldest: undefined, newest: undefined }
      share = { user, droppedThrough: 0, events: 0, bytes: 0, ...blocks }
      this.#shares.set(user, share)
    }
    return share
  }

  /** The user's newest block, or a new one when that is full. */
  #openBlock(share: OpenShare, offset: number, time: number): Block {
    const last = share.newest
    if (last !== undefined && !this.#isFull(last, offset, time)) return last
    const links = { older: this.#newest, newer: undefined, nextOfShare: undefined }
    const extent = { first: offset, through: offset, since: time, until: time }
    const block: Block = { share, ...extent, events: 0, bytes: 0, ...links }
    if (last === undefined) share.oldest = block
    else last.nextOfShare = block
    share.newest = block
    if (this.#newest === undefined) this.#oldest = block
    else this.#newest.newer = block
    this.#newest = block
    return block
  }

  #isFull(block: Block, offset: number, time: number): boolean {
    const { events, bytes, ageMs } = this.#budget
    return (
      // Of the offsets, not of the events alone: the blocks of users who take turns overlap.
      offset - block.first >= events / STEPS_PER_BUDGET ||
      block.bytes >= bytes / STEPS_PER_BUDGET ||
      time - block.since >= ageMs / STEPS_PER_BUDGET
    )
  }

  #oldestOfLarge(): Block | undefined {
    let oldest: Block | undefined
    for (const { oldest: block } of this.#large) {
      if (block !== undefined && block.first < (oldest?.first ?? Infinity)) oldest = block
    }
    return oldest
  }

  /** @param block - the oldest one of its user */
  #drop(block: Block): Dropped {
    const { share, first, through, older, newer } = block
    if (older === undefined) this.#oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    share.oldest = block.nextOfShare
    if (share.oldest === undefined) {
      share.newest = undefined
      this.#shares.delete(share.user)
    }
    share.droppedThrough = through
    this.#count(block, -block.events, -block.bytes)
    this.#lostThrough = Math.max(this.#lostThrough, through)
    return { user: share.user, first, through }
  }

  #count({ share }: Block, events: number, bytes: number): void {
    this.#events += events
    this.#bytes += bytes
    share.events += events
    share.bytes += bytes
    const { events: mostEvents, bytes: mostBytes } = this.#budget
    const isLarge = share.events > mostEvents / 2 || share.bytes > mostBytes / 2
    if (isLarge) this.#large.add(share)
    else this.#large.delete(share)
  }
}

function withoutStep(budget: number): number {
  return Math.ceil((budget * (STEPS_PER_BUDGET - 1)) / STEPS_PER_BUDGET)
}
