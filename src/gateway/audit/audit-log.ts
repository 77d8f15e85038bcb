import { withoutTokens } from '../../auth/credentials/tokens.ts'
import { type AuditRecord, NOBODY } from './audit-record.ts'
import { AuditWriter, type AuditWriterOptions } from './audit-writer.ts'
import { RepeatedRefusals } from './repeated-refusals.ts'

export interface AuditLogOptions extends AuditWriterOptions {
  /** How soon what could not be written is tried again. */
  readonly retryMs?: number
  /** Told when writing begins to fail, and when the log is closed with records that wait. */
  readonly onFailure?: (state: AuditState) => void
}

/** For readiness and metrics. */
export interface AuditState {
  readonly written: number
  readonly lost: number
  readonly waiting: number
  /** Why nothing can be written at present, as an error code. */
  readonly failure: string | undefined
}

const RETRY_MS = 2000

/** Records that wait for a disk which takes none; later ones are lost and counted. */
const MAX_WAITING = 10_000
const MAX_WRITE_RECORDS = 1000

const FLUSH_REFUSALS_MS = 10_000

/**
 * Who did what, one JSON line each. Recording never waits and never fails: lines are written behind,
 * within milliseconds, and synced to the disk once a second. While the disk takes none they wait, up to a
 * bound; what is beyond it is counted, and the count is the next line that is written.
 */
export class AuditLog implements AsyncDisposable {
  readonly #options: AuditLogOptions
  readonly #writer: AuditWriter
  readonly #refusals = new RepeatedRefusals((record) => this.#add(record))
  readonly #waiting: string[] = []
  #flushTimer: NodeJS.Timeout | undefined
  #written = 0
  #lost = 0
  #lostUnsaid = 0
  #failure: string | undefined
  #writing: Promise<void> | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(options: AuditLogOptions) {
    this.#options = options
    this.#writer = new AuditWriter(options)
  }

  get state(): AuditState {
    return {
      written: this.#written,
      lost: this.#lost,
      waiting: this.#waiting.length,
      failure: this.#failure,
    }
  }

  record(record: AuditRecord): void {
    if (record.outcome === 'refused') this.#countRefusal(record)
    else this.#add(record)
  }

  /** Resolves when what was recorded before is written, or could not be. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #countRefusal(record: AuditRecord): void {
    const { now } = this.#options
    this.#refusals.add(record, now())
    this.#flushTimer ??= setInterval(() => this.#refusals.flush(now()), FLUSH_REFUSALS_MS).unref()
  }

  #add(record: AuditRecord): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#lost += 1
      this.#lostUnsaid += 1
      return
    }
    this.#waiting.push(this.#lineOf(record))
    if (this.#retryTimer === undefined) this.#start()
  }

  #lineOf(record: AuditRecord): string {
    const time = new Date(this.#options.now()).toISOString()
    return `${withoutTokens(JSON.stringify({ time, ...record }))}\n`
  }

  #start(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
      if (this.#waiting.length > 0 && this.#failure === undefined) this.#start()
    })
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting.slice(0, MAX_WRITE_RECORDS)
      try {
        await this.#writer.write(Buffer.from(lines.join('')))
      } catch (error) {
        await this.#failed(error)
        return
      }
      this.#failure = undefined
      this.#written += lines.length
      this.#waiting.splice(0, lines.length)
      if (this.#lostUnsaid > 0) this.#sayLost()
    }
  }

  #sayLost(): void {
    const count = this.#lostUnsaid
    this.#lostUnsaid = 0
    const lost = { ...NOBODY, action: 'audit.lost', target: 'audit', outcome: 'done' } as const
    this.#waiting.push(this.#lineOf({ ...lost, count }))
  }

  async #failed(error: unknown): Promise<void> {
    const isNews = this.#failure === undefined || this.#closing !== undefined
    this.#failure = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
    if (isNews) this.#options.onFailure?.(this.state)
    await this.#writer.end()
    if (this.#closing !== undefined) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#start()
    }, this.#options.retryMs ?? RETRY_MS).unref()
  }

  async #close(): Promise<void> {
    clearInterval(this.#flushTimer)
    clearTimeout(this.#retryTimer)
    this.#refusals.flush(Number.POSITIVE_INFINITY)
    this.#start()
    await this.flush()
    await this.#writer.end()
  }
}
