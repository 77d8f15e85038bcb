import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { auditFileName, auditFiles, dropOldest } from './audit-files.ts'

export interface AuditWriterOptions {
  readonly directory: string
  /** Milliseconds since the epoch. */
  now(): number
  /** A file this long is followed by the next one; 64 MiB when left out. */
  readonly maxFileBytes?: number
  /** The oldest files are deleted beyond it; 1 GiB when left out. */
  readonly maxBytes?: number
}

const MAX_FILE_BYTES = 64 * 1024 * 1024
const MAX_BYTES = 1024 * 1024 * 1024

/** What a power failure can take. */
const SYNC_MS = 1000

/** Appends to the file of the day, or to the next one of that day when it is full. Not for two callers at once. */
export class AuditWriter {
  readonly #options: Required<AuditWriterOptions>
  #file: FileHandle | undefined
  #day = ''
  #size = 0
  #syncTimer: NodeJS.Timeout | undefined

  constructor(options: AuditWriterOptions) {
    this.#options = { maxFileBytes: MAX_FILE_BYTES, maxBytes: MAX_BYTES, ...options }
  }

  /** Writes all of `lines` or nothing of them; they are synced within a second. */
  async write(lines: Buffer): Promise<void> {
    const file = await this.#fileOfToday()
    try {
      for (let at = 0; at < lines.length; ) {
        at += (await file.write(lines, at, lines.length - at)).bytesWritten
      }
    } catch (error) {
      // A part of a line would be joined to the next one.
      await file.truncate(this.#size).catch(() => {})
      throw error
    }
    this.#size += lines.length
    this.#syncTimer ??= setTimeout(() => this.#sync(), SYNC_MS).unref()
  }

  /** Ends the file. The next write opens it anew: another disk may be in its place by then. */
  async end(): Promise<void> {
    clearTimeout(this.#syncTimer)
    this.#syncTimer = undefined
    const file = this.#file
    this.#file = undefined
    await file?.datasync().catch(() => {})
    await file?.close().catch(() => {})
  }

  async #fileOfToday(): Promise<FileHandle> {
    const day = new Date(this.#options.now()).toISOString().slice(0, 10)
    const isFull = this.#size >= this.#options.maxFileBytes
    if (this.#file !== undefined && day === this.#day && !isFull) return this.#file
    return this.#open(day)
  }

  async #open(day: string): Promise<FileHandle> {
    const { directory, maxFileBytes, maxBytes } = this.#options
    await this.end()
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

  #sync(): void {
    this.#syncTimer = undefined
    // A disk that cannot sync fails the next write too.
    this.#file?.datasync().catch(() => {})
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
