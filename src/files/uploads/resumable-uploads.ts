import type { FastifyBaseLogger } from 'fastify'
import { BrokerError } from '../../protocol/problem.ts'
import { PathLocks } from '../path-locks.ts'
import type { DiskFileStore } from '../store/disk-file-store.ts'
import type { CommittedFile, WriteGuard } from '../store/file-store.ts'
import type { PartChecksum, PartialFile } from './partial-file.ts'
import { ResumableUpload } from './resumable-upload.ts'
import type { FinishedUpload, UploadRecord, UploadRecords } from './upload-records.ts'

export interface ResumableUploadsDeps {
  readonly store: DiskFileStore
  readonly records: UploadRecords
  readonly log: FastifyBaseLogger
}

export interface ResumableUploadsOptions {
  /** How long an upload lives after its last part. */
  readonly lifetimeMs?: number
  /** Unfinished uploads of one user. */
  readonly maxOpen?: number
}

/** A part of a content on its way. */
export interface Part {
  readonly content: AsyncIterable<Uint8Array>
  readonly checksum: PartChecksum | undefined
  /** Ends `content`, since another request takes the upload over. */
  readonly cut: () => void
}

const DAY_MS = 24 * 60 * 60 * 1000
const MAX_OPEN = 1000
const SWEEP_MS = 60_000

/** A client that lost the last answer asks again soon. */
const FINISHED_MS = 60 * 60 * 1000
const MAX_FINISHED = 1000

/**
 * Uploads that arrive in parts, over connections that break and restarts of the broker: their records are
 * in the database, their bytes in temporary files beside the volume. A whole one is committed as any other.
 */
export class ResumableUploads implements AsyncDisposable {
  readonly #deps: ResumableUploadsDeps
  readonly #lifetimeMs: number
  readonly #maxOpen: number
  readonly #uploads = new Map<string, ResumableUpload>()
  readonly #locks = new PathLocks()
  #timer: NodeJS.Timeout | undefined

  private constructor(deps: ResumableUploadsDeps, options: ResumableUploadsOptions) {
    this.#deps = deps
    this.#lifetimeMs = options.lifetimeMs ?? DAY_MS
    this.#maxOpen = options.maxOpen ?? MAX_OPEN
  }

  /** Finds what an earlier process left, and forgets what has expired or lost its bytes. */
  static async open(
    deps: ResumableUploadsDeps,
    options: ResumableUploadsOptions = {},
  ): Promise<ResumableUploads> {
    const uploads = new ResumableUploads(deps, options)
    for (const record of await deps.records.all()) await uploads.#recover(record)
    await uploads.sweep()
    uploads.#start()
    return uploads
  }

  /**
   * Of what was admitted as any other upload is.
   *
   * @throws {BrokerError} `TOO_MANY_REQUESTS`, `PATH_INVALID`, `QUOTA_EXCEEDED`, `STORAGE_FULL`, `READ_ONLY`
   */
  async create(record: UploadRecord): Promise<ResumableUpload> {
    const { user, id } = record
    const open = this.#uploads.values().filter(({ record: other }) => isOpenOf(other, user))
    if (open.take(this.#maxOpen).toArray().length === this.#maxOpen) {
      throw new BrokerError('TOO_MANY_REQUESTS', 'too many uploads are not finished', {
        fields: { retryAfterSeconds: 60 },
      })
    }
    const upload = new ResumableUpload(this.#deps.store.partial(record), record, Date.now())
    this.#uploads.set(id, upload)
    try {
      await upload.partial.begin()
      await this.#deps.records.put(record)
      return upload
    } catch (error) {
      this.#uploads.delete(id)
      await upload.partial.discard()
      throw error
    }
  }

  /** @throws {BrokerError} `NOT_FOUND`, also for the upload of somebody else */
  find(id: string, user: string | null): ResumableUpload {
    const upload = this.#uploads.get(id)
    if (upload === undefined || upload.record.user !== user || this.#hasExpired(upload)) {
      throw new BrokerError('NOT_FOUND', 'there is no such upload')
    }
    return upload
  }

  /**
   * Runs `work` with the upload, which nobody else touches meanwhile. Whoever sends a part of it is cut
   * off, and what came is kept: a client comes again before the broker knows that its connection is dead.
   *
   * @throws {BrokerError} `NOT_FOUND`; `UPLOAD_INTERRUPTED` when somebody else asked meanwhile
   */
  hold<Value>(
    id: string,
    user: string | null,
    work: (upload: ResumableUpload) => Promise<Value>,
  ): Promise<Value> {
    const upload = this.find(id, user)
    const turn = ++upload.turn
    upload.cut?.()
    return this.#locks.hold(id, () => {
      if (upload.turn !== turn) {
        throw new BrokerError('UPLOAD_INTERRUPTED', 'another request took the upload over')
      }
      return work(this.find(id, user))
    })
  }

  /** @throws {BrokerError} what `PartialFile.append` throws */
  async append(upload: ResumableUpload, { content, checksum, cut }: Part): Promise<void> {
    const { partial } = upload
    const isVerified = upload.record.verifiedBytes !== undefined
    // What a crash leaves beyond it is cut off.
    if (isVerified !== (checksum !== undefined)) {
      await this.#update(upload, { verifiedBytes: checksum && partial.size })
    }
    upload.cut = cut
    try {
      await partial.append(content, checksum)
    } finally {
      upload.cut = undefined
      upload.activeMs = Date.now()
    }
    if (checksum !== undefined) await this.#update(upload, { verifiedBytes: partial.size })
  }

  /**
   * Makes a whole upload a file; one that is finished stays so.
   *
   * @throws what `guard` throws; {BrokerError} `DIGEST_MISMATCH`, `CONTENT_INVALID`, ... After a refusal
   *   that would come again the upload is gone.
   */
  async finish(upload: ResumableUpload, guard: WriteGuard): Promise<FinishedUpload> {
    const { record, partial } = upload
    if (record.finished !== undefined) return record.finished
    try {
      const stored = await this.#commit(upload, guard)
      // Of the same content again the bytes are still there.
      await partial.discard()
      const { etag, position = null } = stored
      const finished = { etag, position, atMs: Date.now() }
      await this.#update(upload, { finished })
      return finished
    } catch (error) {
      if (isLasting(error)) await this.remove(upload)
      else await reserveAgain(partial)
      throw error
    }
  }

  async remove({ record, partial }: ResumableUpload): Promise<void> {
    this.#uploads.delete(record.id)
    // A temporary file without a record is removed at the next start.
    await this.#deps.records.remove([record.id])
    await partial.discard()
  }

  /** When it expires unless a part comes, in milliseconds since the epoch. */
  expiresMs({ record: { finished }, activeMs }: ResumableUpload): number {
    return finished === undefined ? activeMs + this.#lifetimeMs : finished.atMs + FINISHED_MS
  }

  /** Removes what has expired. */
  async sweep(): Promise<void> {
    const all = [...this.#uploads.values()]
    const finished = all.filter(({ record }) => record.finished !== undefined)
    const surplus = finished.slice(0, Math.max(0, finished.length - MAX_FINISHED))
    const expired = all.filter((upload) => this.#hasExpired(upload))
    for (const upload of new Set([...expired, ...surplus])) await this.remove(upload)
  }

  /** Cuts all parts off that are on their way: their clients go on when the broker is there again. */
  cutAll(): void {
    for (const { cut } of this.#uploads.values()) cut?.()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #start(): void {
    const sweep = () =>
      this.sweep().catch((err: unknown) =>
        this.#deps.log.error({ event: 'files.expire', err }, 'expired uploads stay'),
      )
    this.#timer = setInterval(sweep, SWEEP_MS).unref()
  }

  async #recover(record: UploadRecord): Promise<void> {
    const { id, length, finished, verifiedBytes } = record
    const partial = this.#deps.store.partial(record)
    const writtenMs = finished?.atMs ?? (await partial.resume(verifiedBytes ?? length))
    if (writtenMs === undefined) return this.#deps.records.remove([id])
    if (finished === undefined) await reserveAgain(partial)
    this.#uploads.set(id, new ResumableUpload(partial, record, writtenMs))
  }

  async #commit({ record, partial }: ResumableUpload, guard: WriteGuard): Promise<CommittedFile> {
    const { digests, confirmShrink } = record
    await using staged = await partial.stage({ digests, confirmShrink })
    const [stored] = await this.#deps.store.commit([{ staged, guard }])
    if (stored === undefined) throw new Error('an upload was committed without a result')
    return stored
  }

  async #update(upload: ResumableUpload, change: Partial<UploadRecord>): Promise<void> {
    upload.record = { ...upload.record, ...change }
    await this.#deps.records.put(upload.record)
  }

  #hasExpired(upload: ResumableUpload): boolean {
    return upload.cut === undefined && this.expiresMs(upload) <= Date.now()
  }
}

function isOpenOf({ user, finished }: UploadRecord, owner: string | null): boolean {
  return user === owner && finished === undefined
}

/** Room on the disk comes back, and so may a credential; other refusals of a whole content do not. */
function isLasting(error: unknown): boolean {
  return error instanceof BrokerError && error.status < 500 && error.status !== 401
}

/** What is not granted now, since others have taken it, is asked for with the next part. */
async function reserveAgain(partial: PartialFile): Promise<void> {
  try {
    await partial.reserve()
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
  }
}
