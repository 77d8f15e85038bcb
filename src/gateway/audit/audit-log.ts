import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { withoutTokens } from '../../auth/credentials/tokens.ts'
import { auditFileName, auditFiles, dropOldest } from './audit-files.ts'
import { type AuditRecord, NOBODY } from './audit-record.ts'
import { RepeatedRefusals } from './repeated-refusals.ts'

export interface AuditLogOptions {
  readonly directory: string
  /** Milliseconds since the epoch. */
  now(): number
  /** A file this long is followed by the next one. */
  readonly maxFileBytes?: number
  /** The oldest files are deleted beyond it. */
  readonly maxBytes?: number
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

const MAX_FILE_BYTES = 64 * 1024 * 1024
const MAX_BYTES = 1024 * 1024 * 1024
const RETRY_MS = 2000

/** Records that wait for a disk which takes none; later ones are lost and counted. */
const MAX_WAITING = 10_000
const MAX_WRITE_RECORDS = 1000

/** What a power failure can take. */
const SYNC_MS = 1000
const FLUSH_REFUSALS_MS = 10_000

/**
 * Who did what, one JSON line each. Recording never waits and never fails: lines are written behind,
 * within milliseconds, and synced to the disk once a second. While the disk takes none they wait, up to a
 * bound; what is beyond it is counted, and the count is the next line that is written.
 */
export class AuditLog implements AsyncDisposable {
  readonly #options: Required<AuditLogOptions>
  readonly #refusals = new RepeatedRefusals((record) => this.#add(record))
  readonly #waiting: string[] = []
  #flushTimer: NodeJS.Timeout | undefined
  #file: FileHandle | undefined
  #day = ''
  #size = 0
  #written = 0
  #lost = 0
  #lostUnsaid = 0
  #failure: string | undefined
  #writing: Promise<void> | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(options: AuditLogOptions) {
    this.#options = {
      maxFileBytes: MAX_FILE_BYTES,
      maxBytes: MAX_BYTES,
      retryMs: RETRY_MS,
      onFailure: () => undefined,
      ...options,
    }
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
        await this.#write(Buffer.from(lines.join('')))
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

  async #write(bytes: Buffer): Promise<void> {
    const file = await this.#fileOfToday()
    try {
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, bytes.length - at)).bytesWritten
      }
    } catch (error) {
      // A part of a line would be joined to the next one.
      await file.truncate(this.#size).catch(() => {})
      throw error
    }
    this.#size += bytes.length
    this.#syncTimer ??= setTimeout(() => this.#sync(), SYNC_MS).unref()
  }

  async #fileOfToday(): Promise<FileHandle> {
    const day = new Date(this.#options.now()).toISOString().slice(0, 10)
    const isFull = this.#size >= this.#options.maxFileBytes
    if (this.#file !== undefined && day === this.#day && !isFull) return this.#file
    return this.#open(day)
  }

  async #open(day: string): Promise<FileHandle> {
    const { directory, maxFileBytes, maxBytes } = this.#options
    await this.#endFile()
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const newest = (await auditFiles(directory)).findLast((name) => name.startsWith(day))
    let number = newest === undefined ? 1 : Number(newest.slice(11, 15))
    let file = await openToAppend(join(directory, auditFileName(day, number)))
    if (file.size >= maxFileBytes) {
      await file.handle.close()
      number += 1
      file = await openToAppend(join(directory, auditFileName(day, number)))
    }
    this.#file = file.handle
    this.#size = file.size
    this.#day = day
    await dropOldest(directory, maxBytes)
    return file.handle
  }

  async #failed(error: unknown): Promise<void> {
    const isNews = this.#failure === undefined || this.#closing !== undefined
    this.#failure = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN'
    if (isNews) this.#options.onFailure(this.state)
    // Another disk may be in its place by then.
    await this.#endFile()
    if (this.#closing !== undefined) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#start()
    }, this.#options.retryMs).unref()
  }

  #sync(): void {
    this.#syncTimer = undefined
    // A disk that cannot sync fails the next write too.
    this.#file?.datasync().catch(() => {})
  }

  async #endFile(): Promise<void> {
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
    const file = this.#file
    this.#file = undefined
    await file?.datasync().catch(() => {})
    await file?.close().catch(() => {})
  }

  async #close(): Promise<void> {
    clearInterval(this.#flushTimer)
    clearTimeout(this.#retryTimer)
    this.#refusals.flush(Number.POSITIVE_INFINITY)
    this.#start()
    await this.flush()
    await this.#endFile()
  }
}

/** A line that a crash cut short is ended, so that the next one stands for itself. */
async function openToAppend(path: string): Promise<{ handle: FileHandle; size: number }> {
  const handle = await open(path, 'a+', 0o600)
  try {
    const { size } = await handle.stat()
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    if (size === 0 || buffer[0] === 0x0a) return { handle, size }
    await handle.appendFile('\n')
    return { handle, size: size + 1 }
  } catch (error) {
    await handle.close()
    throw error
  }
}
