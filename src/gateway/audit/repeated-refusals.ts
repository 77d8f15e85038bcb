import { addressSource } from '../../auth/credentials/address-source.ts'
import { type AuditRecord, NOBODY } from './audit-record.ts'

/** Refusals of one kind within a window that get a line each. */
const MAX_LINES = 10
const WINDOW_MS = 60_000

/** Kinds that have lines of their own at once; the others are counted together. */
const MAX_KINDS = 100

/** The key of all that are beyond `MAX_KINDS`. */
const OTHERS = ''

interface Kind {
  readonly untilMs: number
  lines: number
  /** Those without a line of their own, and the last of them. */
  unwritten: number
  last: AuditRecord
}

/**
 * Keeps refusals from filling the audit log: whoever is refused again and again costs a few lines a
 * minute, and a last one with how many there were, and so do those who come from everywhere. Nothing goes
 * uncounted.
 */
export class RepeatedRefusals {
  readonly #write: (record: AuditRecord) => void
  readonly #kinds = new Map<string, Kind>()

  constructor(write: (record: AuditRecord) => void) {
    this.#write = write
  }

  add(record: AuditRecord, nowMs: number): void {
    const key = this.#keyOf(record)
    let kind = this.#kinds.get(key)
    if (kind !== undefined && kind.untilMs <= nowMs) {
      this.#end(key, kind)
      kind = undefined
    }
    if (kind === undefined) {
      kind = { untilMs: nowMs + WINDOW_MS, lines: 0, unwritten: 0, last: record }
      this.#kinds.set(key, kind)
    }
    if (kind.lines < MAX_LINES) {
      kind.lines += 1
      this.#write(record)
    } else {
      kind.unwritten += 1
      kind.last = record
    }
  }

  /** Writes the counts of windows that are over at `nowMs`; all of them at `Infinity`. */
  flush(nowMs: number): void {
    for (const [key, kind] of this.#kinds) if (kind.untilMs <= nowMs) this.#end(key, kind)
  }

  #keyOf({ user, address, action, code }: AuditRecord): string {
    const key = JSON.stringify([user, addressSource(address ?? undefined), action, code])
    return this.#kinds.size >= MAX_KINDS && !this.#kinds.has(key) ? OTHERS : key
  }

  #end(key: string, { unwritten, last }: Kind): void {
    this.#kinds.delete(key)
    if (unwritten === 0) return
    const others = key === OTHERS ? { ...NOBODY, target: 'others' } : { requestId: null }
    this.#write({ ...last, ...others, count: unwritten })
  }
}
