import type { FilePath } from '../../protocol/file-path.ts'
import type { FileChange } from '../file-change.ts'
import type { FileVersion, VersionRecords } from '../history/version-records.ts'
import type { IndexEntry } from './index-entry.ts'

/** A content on disk that was told as refused, and is not told again. */
export interface Refusal {
  readonly path: FilePath
  readonly sha256: string
}

/** Bytes of the files that an index knows. */
export interface FileUsage {
  readonly totalBytes: number
  /** Of the files whose present content `uploader` uploaded. */
  bytesOf(uploader: string): number
}

/** Entries written and forgotten, and the events that tell it, in one transaction. */
export interface IndexMutation {
  readonly put?: readonly IndexEntry[]
  readonly remove?: readonly FilePath[]
  /** Intents of uploads that this transaction fulfils; see `upload-intent.ts`. */
  readonly fulfil?: readonly string[]
  /** Of a path that is put or removed the refusal is forgotten. */
  readonly refuse?: readonly Refusal[]
  /** Paths whose refusal is forgotten. */
  readonly pardon?: readonly FilePath[]
  /** Former contents that are kept from now on. */
  readonly keep?: readonly FileVersion[]
  /** Ids of former contents that are not. */
  readonly drop?: readonly string[]
  /** Told in this order. Empty when nothing changed that a subscriber should know (a touch). */
  readonly changes: readonly FileChange[]
}

/** Contents from this size on are found by their digest; a smaller one is sent sooner than found. */
export const FINDABLE_BYTES = 64 * 1024

/**
 * The record of which content is at which path, as told by events: the fold of all FILE events. It is
 * compared with the disk to find changes; it is changed only by whoever holds the lock of the path.
 * Implementations pass `test/contract/file-index.ts`.
 */
export interface FileIndex {
  /** As of the last mutation that was committed. */
  readonly usage: FileUsage
  readonly versions: VersionRecords
  get(path: FilePath): Promise<IndexEntry | undefined>
  /**
   * Entries below a directory at any depth, in the order of their paths by UTF-8 bytes.
   *
   * @param directory - without trailing `/`; `''` for all
   * @param after - only entries with a greater path
   */
  below(directory: string, after: string, limit: number): Promise<readonly IndexEntry[]>
  /** The digest of the content that was refused last and is not accepted since. */
  refusalOf(path: FilePath): Promise<string | undefined>
  /** Paths of a content of at least `FINDABLE_BYTES`, in their order. @param sha256 - lower-case hex */
  withContent(sha256: string, limit: number): Promise<readonly FilePath[]>
  /** Commits and resolves with the position of each change, in order, after which it is durable. */
  apply(mutation: IndexMutation): Promise<readonly string[]>
  /** Records what an upload is about to do, durably, before it touches the visible file. */
  intend(intent: UploadIntent): Promise<void>
  /** Intents that no transaction fulfilled: a crash came between. */
  openIntents(): Promise<readonly UploadIntent[]>
}

/** Enough to tell after a crash whether the rename of an upload happened. */
export interface UploadIntent {
  readonly id: string
  /** Uploads of one batch are finished together or not at all; a single one is a batch of its own. */
  readonly batch: string
  readonly path: FilePath
  /** Inode of the temporary file: the visible file has it when the rename happened. */
  readonly ino: bigint
  readonly dev: bigint
  readonly sha256: string
  readonly uploader?: string | undefined
}

/**
 * Commits index rows and the events of `changes` in one transaction. Given to the index by the gateway,
 * since files know nothing of the event log.
 *
 * @returns the position of each change, in order, once durable
 */
export type TellChanges<Companion> = (
  changes: readonly FileChange[],
  companions: readonly Companion[],
) => Promise<readonly string[]>
