import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { StatedDigest } from '../http/digest-fields.ts'
import type { StagedFile, StageOptions } from '../store/file-store.ts'
import { errorCode, storageFault } from '../store/storage-fault.ts'
import { ConfinedDirectory } from '../volumes/confined-directory.ts'
import type { Volume } from '../volumes/volume.ts'
import { acceptContent, algorithmsFor } from './accept-content.ts'
import { BlockWriter } from './block-writer.ts'
import type { ContentHasher, Digests, HashAlgorithm, HashSession } from './content-hasher.ts'
import { digestFile } from './digest-file.ts'
import { intact, SMALL_BYTES } from './receive-content.ts'
import { removeTemporaryFile, TemporaryFile } from './temporary-file.ts'
import type { UploadLimits } from './upload-limits.ts'
import type { UploadShare } from './upload-share.ts'

export interface PartialFileDeps {
  readonly volume: Volume
  readonly hasher: ContentHasher
  readonly validators: readonly ContentValidator[]
  readonly limits: UploadLimits
}

/** What is known of a content before it has come. */
export interface Expected {
  /** A UUID: names the temporary file. */
  readonly id: string
  /** Whose it is; null for anonymous. */
  readonly user: string | null
  readonly path: FilePath
  readonly length: number
  readonly digests: readonly StatedDigest[]
}

/** The digest of a part, in hex. */
export interface PartChecksum {
  readonly algorithm: HashAlgorithm
  readonly hex: string
}

/**
 * A content that arrives in parts, in a temporary file that outlives the process. Not for two callers at
 * once. Between parts no file is open.
 */
export class PartialFile {
  readonly expected: Expected
  readonly #deps: PartialFileDeps
  #size = 0
  /** Of the first `#size` bytes. Node cannot save it: after a restart there is none. */
  #running: HashSession | undefined
  /** Until a staged file has it. */
  #share: UploadShare | undefined

  constructor(expected: Expected, deps: PartialFileDeps) {
    this.expected = expected
    this.#deps = deps
  }

  /** Makes the file, durably. @throws {BrokerError} `QUOTA_EXCEEDED`, `STORAGE_FULL`, `READ_ONLY` */
  async begin(): Promise<void> {
    const { id, path } = this.expected
    try {
      await this.reserve()
      const place = await this.#deps.volume.temporaryDirectory()
      await using file = await TemporaryFile.create(id, path, place)
      await using directory = await ConfinedDirectory.openRoot(place.directory)
      await directory.sync()
      file.keep()
    } catch (error) {
      throw storageFault(error)
    }
  }

  /**
   * Holds all the bytes that are expected of the quotas, when it does not yet.
   *
   * @throws {BrokerError} `QUOTA_EXCEEDED`
   */
  async reserve(): Promise<UploadShare> {
    const { limits, volume } = this.#deps
    const { path, user, length } = this.expected
    this.#share ??= await limits.hold(volume, { path, uploader: user ?? '', size: length })
    return this.#share
  }

  /**
   * Goes on with what an earlier process left.
   *
   * @param trusted - where it is cut when it is longer
   * @returns when it was last written, in milliseconds since the epoch; undefined when it is gone
   */
  async resume(trusted: number): Promise<number | undefined> {
    try {
      await using file = await this.#open()
      const { size, mtimeMs } = await file.handle.stat()
      this.#size = Math.min(size, trusted)
      if (size > trusted) await file.handle.truncate(trusted)
      // A killed process may have left bytes that only the memory of the kernel holds.
      await file.handle.datasync()
      return mtimeMs
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Bytes that are there, power loss included. */
  get size(): number {
    return this.#size
  }

  /**
   * Writes what arrives at the end, and keeps it when the rest does not arrive; with a checksum all or
   * nothing. When it resolves or rejects, `size` is durable.
   *
   * @throws {BrokerError} `CHECKSUM_MISMATCH`, `TOO_LARGE` for more than is expected, `BODY_INCOMPLETE`,
   *   `REQUEST_TIMEOUT`, `TOO_MANY_REQUESTS`, `QUOTA_EXCEEDED`, `STORAGE_FULL`
   */
  async append(content: AsyncIterable<Uint8Array>, checksum?: PartChecksum): Promise<void> {
    try {
      await using file = await this.#open()
      const start = this.#size
      const part = checksum && this.#deps.hasher.begin([checksum.algorithm])
      try {
        await this.#write(file, content, part)
        if (checksum !== undefined) verifyPart(checksum, await part?.digests())
      } catch (error) {
        if (checksum !== undefined) await this.#cut(file, start)
        throw error
      } finally {
        part?.discard()
        await file.handle.datasync()
      }
    } catch (error) {
      throw storageFault(error)
    }
  }

  /**
   * The whole content, verified and validated, to be committed. It stays when the staged file is disposed
   * of; `discard` removes it.
   *
   * @throws {BrokerError} `DIGEST_MISMATCH`, `CONTENT_INVALID`, `QUOTA_EXCEEDED`
   */
  async stage(options: StageOptions): Promise<StagedFile> {
    await using cleanup = new AsyncDisposableStack()
    try {
      const file = cleanup.use(await this.#open())
      const share = await this.reserve()
      const received = { size: this.#size, digests: await this.#digests(file) }
      await acceptContent(file, received, options, this.#deps.validators)
      file.share = share
      this.#share = undefined
      cleanup.move()
      return file
    } catch (error) {
      throw storageFault(error)
    }
  }

  /** Removes what is left of it. */
  async discard(): Promise<void> {
    this.#forget()
    this.#share?.[Symbol.dispose]()
    this.#share = undefined
    await removeTemporaryFile(this.expected.id, await this.#deps.volume.temporaryDirectory())
  }

  async #open(): Promise<TemporaryFile> {
    const { id, path } = this.expected
    const file = await TemporaryFile.reopen(id, path, await this.#deps.volume.temporaryDirectory())
    file.keep()
    return file
  }

  async #write(
    file: TemporaryFile,
    content: AsyncIterable<Uint8Array>,
    part: HashSession | undefined,
  ): Promise<void> {
    const { hasher, limits, volume } = this.#deps
    const { length, digests } = this.expected
    let room = length - this.#size
    using reception = await limits.receive(volume, room)
    await this.reserve()
    const take = (bytes: number) => reception.take(bytes)
    if (this.#size === 0 && length > SMALL_BYTES) {
      this.#running ??= hasher.begin(algorithmsFor(digests))
    }
    const sessions = [this.#running, part].filter((session) => session !== undefined)
    // After a restart nothing may be left to be hashed while it comes: it is only written.
    const [session = hasher.begin([]), ...others] = sessions
    const blocks = new BlockWriter(file.handle, { first: this.#size, session, others, take })
    try {
      let failure: unknown
      try {
        for await (const chunk of intact(limits.steady(content))) {
          room -= chunk.byteLength
          if (room < 0) throw new BrokerError('TOO_LARGE', `the upload has ${length} bytes`)
          await blocks.write(chunk)
        }
      } catch (error) {
        failure = error
      }
      await blocks.finish()
      if (failure !== undefined) throw failure
    } finally {
      await blocks.settle()
      if (sessions.length === 0) session.discard()
      if (blocks.hasFailed) this.#forget()
      this.#size = blocks.written
    }
  }

  async #cut(file: TemporaryFile, size: number): Promise<void> {
    this.#forget()
    await file.handle.truncate(size)
    this.#size = size
  }

  async #digests(file: TemporaryFile): Promise<Digests> {
    const running = this.#running
    this.#running = undefined
    if (running !== undefined) return running.digests()
    const algorithms = algorithmsFor(this.expected.digests)
    return digestFile(file.handle, this.#size, algorithms, this.#deps.hasher)
  }

  #forget(): void {
    this.#running?.discard()
    this.#running = undefined
  }
}

function verifyPart({ algorithm, hex }: PartChecksum, digests: Digests | undefined): void {
  if (digests?.[algorithm] === hex) return
  throw new BrokerError('CHECKSUM_MISMATCH', 'the part does not have the stated checksum')
}
