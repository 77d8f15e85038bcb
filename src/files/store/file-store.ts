import type { FilePath } from '../../protocol/file-path.ts'
import type { Validators } from '../http/conditions.ts'
import type { StatedDigest } from '../http/digest-fields.ts'

/** What is known of a file without reading it. */
export interface KnownFile extends Validators {
  readonly path: FilePath
  readonly size: number
  /** Lower-case hex; undefined, like the tag, while what is on disk was not told yet. */
  readonly sha256: string | undefined
}

/** A file whose content may be sent by others. */
export interface ServableFile extends KnownFile {
  /**
   * Where a front server may read this very content, below the directory in which the volumes keep their
   * state; undefined where the broker must send the bytes itself.
   */
  serveLink(): Promise<string | undefined>
}

/** A file that is open for reading: its content stays what it was, whatever is uploaded meanwhile. */
export interface OpenFile extends ServableFile, AsyncDisposable {
  /**
   * Bytes from `first` to before `end`. Fails rather than ends early when the file was edited in place.
   */
  read(first: number, end: number): AsyncIterable<Uint8Array>
}

export interface StageOptions {
  readonly digests: readonly StatedDigest[]
  readonly confirmShrink: boolean
  /** Whose the content will be, `''` for anonymous; anonymous when left out. */
  readonly uploader?: string | undefined
  /** Bytes that the sender announces. */
  readonly size?: number | undefined
}

/** A content that arrived whole, was verified, and is not visible yet. Disposing of it discards it. */
export interface StagedFile extends AsyncDisposable {
  readonly path: FilePath
  readonly size: number
  readonly sha256: string
}

/**
 * Throws to refuse a write. It is called with the lock of the path held: what it saw is what will be
 * replaced. `current` is undefined when there is no such file.
 */
export type WriteGuard = (
  current: KnownFile | undefined,
  next: Pick<StagedFile, 'path' | 'size' | 'sha256'>,
) => void

/**
 * Throws to refuse a delete; called with the lock of the path held.
 *
 * @param isOnDisk - false when something else lies there that was refused, or not judged yet
 */
export type DeleteGuard = (current: KnownFile, isOnDisk: boolean) => void

export interface Upload {
  readonly staged: StagedFile
  readonly guard: WriteGuard
}

export interface CommittedFile {
  readonly path: FilePath
  readonly size: number
  readonly sha256: string
  readonly etag: string
  readonly modifiedMs: number
  /** True when there was no file. */
  readonly created: boolean
  /** Of the event that tells it; undefined when nothing changed. */
  readonly position: string | undefined
}

export interface DeletedFile {
  readonly path: FilePath
  /** Of the event that tells it; undefined when the file had never been told. */
  readonly position: string | undefined
}

/** One line of a listing. */
export interface ListedEntry {
  /** Of a recursive listing: with the directories that lead to it. */
  readonly name: string
  readonly type: 'file' | 'directory'
  /** Undefined for a directory, like `etag`. */
  readonly size: number | undefined
  readonly modifiedMs: number | undefined
  readonly etag: string | undefined
}

export interface ListOptions {
  /** Files at any depth, in the order of their paths, instead of what is directly inside. */
  readonly recursive: boolean
  /** Only names greater than this one, compared by UTF-8 bytes; `''` for all. */
  readonly after: string
  readonly showsFile: (path: FilePath) => boolean
  /** Whether a directory is shown and, when recursive, looked into. */
  readonly showsDirectory: (path: FilePath) => boolean
}

/** Where files are kept. Implementations pass `test/contract/file-store.ts`. */
export interface FileStore {
  /** @throws {BrokerError} `UNAVAILABLE` when the volume is offline */
  find(path: FilePath): Promise<KnownFile | undefined>
  /** What `open` would say, where that can be said without opening; undefined where it cannot. */
  glance?(path: FilePath): Promise<ServableFile | undefined>
  /** The caller disposes of it. @throws {BrokerError} `UNAVAILABLE` when the volume is offline */
  open(path: FilePath): Promise<OpenFile | undefined>
  /**
   * Refuses what would be refused if it were staged now, whatever its content.
   *
   * @throws {BrokerError} `TOO_MANY_REQUESTS`, `QUOTA_EXCEEDED`, `STORAGE_FULL`; `PATH_INVALID` for a name
   *   that is never served
   */
  admit(path: FilePath, options: Pick<StageOptions, 'uploader' | 'size'>): Promise<void>
  /**
   * Receives, verifies and validates a content. The caller disposes of it, committed or not.
   *
   * @throws {BrokerError} what `admit` throws; `TOO_LARGE`, `BODY_INCOMPLETE`, `REQUEST_TIMEOUT`,
   *   `DIGEST_MISMATCH`, `CONTENT_INVALID`, `READ_ONLY`, `UNAVAILABLE`
   */
  stage(
    path: FilePath,
    content: AsyncIterable<Uint8Array>,
    options: StageOptions,
  ): Promise<StagedFile>
  /**
   * Stages a content that some file has already, which spares sending it.
   *
   * @param sha256 - lower-case hex
   * @param mayRead - whether the uploader may know the content of that file
   * @returns undefined when the content has to be sent: there is no such file, or none that is large enough
   *   to be looked for
   * @throws {BrokerError} what `stage` throws
   */
  stageKnown(
    path: FilePath,
    sha256: string,
    mayRead: (path: FilePath) => boolean,
    options: Omit<StageOptions, 'digests'>,
  ): Promise<StagedFile | undefined>
  /**
   * Makes all visible, or after a crash all or none, and resolves when they are durable and told.
   *
   * @param uploads - of different paths
   * @throws what a guard throws, with nothing changed; {BrokerError} `PATH_CONFLICT`, `READ_ONLY`,
   *   `STORAGE_FULL`, `QUOTA_EXCEEDED`
   */
  commit(uploads: readonly Upload[]): Promise<readonly CommittedFile[]>
  /**
   * @returns undefined when there is no such file
   * @throws what the guard throws; {BrokerError} `READ_ONLY`
   */
  delete(path: FilePath, guard: DeleteGuard): Promise<DeletedFile | undefined>
  /**
   * @param directory - `''` for the root
   * @returns undefined when there is no such directory
   */
  list(
    directory: FilePath | '',
    options: ListOptions,
  ): Promise<AsyncIterable<ListedEntry> | undefined>
  /** Removes directories that hold nothing any more: this one and those below it. */
  prune(directory: FilePath): Promise<void>
}
