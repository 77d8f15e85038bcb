import type { PartialFile } from './partial-file.ts'
import type { UploadRecord } from './upload-records.ts'

/** One upload that arrives in parts. */
export class ResumableUpload {
  readonly partial: PartialFile
  record: UploadRecord
  activeMs: number
  /** Set while a part arrives. */
  cut: (() => void) | undefined
  /** Counts who asked for it; the last one is served. */
  turn = 0

  constructor(partial: PartialFile, record: UploadRecord, activeMs: number) {
    this.partial = partial
    this.record = record
    this.activeMs = activeMs
  }

  /** Bytes that are durable. */
  get offset(): number {
    return this.record.finished === undefined ? this.partial.size : this.record.length
  }

  get isWhole(): boolean {
    return this.offset === this.record.length
  }
}
