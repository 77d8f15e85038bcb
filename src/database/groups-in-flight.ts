import type { Row } from './statement.ts'
import type { DatabaseReply } from './thread-messages.ts'

/** What one caller has asked for. */
export interface Waiting {
  /** Whether it is answered when it is durable, or else as soon as it is done. */
  readonly awaitsSync: boolean
  resolve(rows: readonly Row[]): void
  reject(error: Error): void
}

/** What was sent together, shared transactions, and was made durable together. */
export interface ServedGroup {
  readonly requests: number
  readonly seconds: number
  /** What SQLite said of one that failed. */
  readonly failure: string | undefined
}

interface Group {
  readonly number: number
  readonly waiting: readonly Waiting[]
  readonly sentAtMs: number
  replies: readonly DatabaseReply[]
}

/**
 * Groups of requests on their way through the two threads of a database: one writes them, the other makes
 * durable what is written, and either may be heard of first. A query is answered when it was read, a commit when it is
 * durable, both in the order in which they were asked for.
 */
export class GroupsInFlight {
  readonly #observe: (group: ServedGroup) => void
  readonly #unwritten: Group[] = []
  readonly #unsynced: Group[] = []
  #sent = 0
  #syncedThrough = 0

  constructor(observe: (group: ServedGroup) => void) {
    this.#observe = observe
  }

  /** Groups of which something waits. */
  get size(): number {
    return this.#unwritten.length + this.#unsynced.length
  }

  get requests(): number {
    return [...this.#unwritten, ...this.#unsynced].reduce(
      (sum, { waiting }) => sum + waiting.length,
      0,
    )
  }

  /** @returns its number, by which `synced` knows it */
  send(waiting: readonly Waiting[]): number {
    this.#sent += 1
    this.#unwritten.push({ number: this.#sent, waiting, sentAtMs: performance.now(), replies: [] })
    return this.#sent
  }

  /** The first group that was not yet written is; `replies` are in the order of its requests. */
  written(replies: readonly DatabaseReply[]): void {
    const group = this.#unwritten.shift()
    if (group === undefined) return
    group.replies = replies
    for (const [i, one] of group.waiting.entries()) if (!one.awaitsSync) settle(one, replies[i])
    // One of queries alone must not wait: with a slow disk, a few of them would hold up all others.
    if (group.waiting.some(({ awaitsSync }) => awaitsSync)) this.#unsynced.push(group)
    else this.#served(group)
    this.#settleSynced()
  }

  /** All groups up to this one are durable, if they are written. */
  synced(through: number): void {
    this.#syncedThrough = through
    this.#settleSynced()
  }

  fail(error: Error): void {
    const groups = [...this.#unsynced.splice(0), ...this.#unwritten.splice(0)]
    for (const { waiting } of groups) for (const { reject } of waiting) reject(error)
  }

  #settleSynced(): void {
    for (let group = this.#unsynced[0]; group !== undefined; group = this.#unsynced[0]) {
      if (group.number > this.#syncedThrough) return
      this.#unsynced.shift()
      this.#served(group)
      const { waiting, replies } = group
      for (const [i, one] of waiting.entries()) if (one.awaitsSync) settle(one, replies[i])
    }
  }

  #served({ waiting, replies, sentAtMs }: Group): void {
    const seconds = (performance.now() - sentAtMs) / 1000
    this.#observe({ requests: waiting.length, seconds, failure: failureIn(replies) })
  }
}

function settle({ resolve, reject }: Waiting, reply: DatabaseReply | undefined): void {
  if (reply !== undefined && reply.error === undefined) resolve(reply.rows ?? [])
  else reject(new Error(reply?.error ?? 'the database gave no answer'))
}

function failureIn(replies: readonly DatabaseReply[]): string | undefined {
  return replies.find(({ error }) => error !== undefined)?.error
}
