import type { Database } from '../../database/database.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import type { StatedDigest } from '../http/digest-fields.ts'

/** What is remembered of a resumable upload beside its bytes. */
export interface UploadRecord {
  /** A UUID; also names its temporary file. */
  readonly id: string
  /** Whose it is; null for anonymous. */
  readonly user: string | null
  readonly path: FilePath
  /** Bytes of the whole content. */
  readonly length: number
  /** Of the whole content, as its sender stated them. */
  readonly digests: readonly StatedDigest[]
  /** Fields of the creation by which the commit is conditional, names in lower case. */
  readonly conditions: Readonly<Record<string, string>>
  readonly confirmShrink: boolean
  /** `Upload-Metadata` as it was sent. */
  readonly metadata: string
  /** What lies beyond so many bytes was not verified yet; undefined while parts come without checksums. */
  readonly verifiedBytes?: number | undefined
  readonly finished?: FinishedUpload | undefined
}

/** How an upload ended, for a client that lost the answer. */
export interface FinishedUpload {
  readonly etag: string
  /** Of the event that tells it; null when the same content was there already. */
  readonly position: string | null
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

const TABLE = `
  CREATE TABLE IF NOT EXISTS resumable_upload (
    id TEXT PRIMARY KEY, record TEXT NOT NULL
  ) WITHOUT ROWID`
const PUT = 'INSERT OR REPLACE INTO resumable_upload (id, record) VALUES (?, ?)'
const REMOVE = 'DELETE FROM resumable_upload WHERE id = ?'

/** The records in the broker's database. */
export class UploadRecords {
  readonly #database: Database

  private constructor(database: Database) {
    this.#database = database
  }

  /** Makes the table when it is not there. */
  static async open(database: Database): Promise<UploadRecords> {
    await database.commit([{ sql: TABLE, rows: [[]] }])
    return new UploadRecords(database)
  }

  async all(): Promise<readonly UploadRecord[]> {
    const rows = await this.#database.query('SELECT record FROM resumable_upload')
    return rows.map(({ record }) => JSON.parse(String(record)) as UploadRecord)
  }

  /** Resolves when it is durable. */
  async put(record: UploadRecord): Promise<void> {
    await this.#database.commit([{ sql: PUT, rows: [[record.id, JSON.stringify(record)]] }])
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#database.commit([{ sql: REMOVE, rows: ids.map((id) => [id]) }])
  }
}
