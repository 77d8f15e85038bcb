import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { ContentValidator } from '../content-validator.ts'
import { DEFAULT_LIMITS, FilePolicy } from '../file-policy.ts'
import { DiskFileHistory } from '../history/disk-file-history.ts'
import { VersionKeeper } from '../history/version-keeper.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { PathLocks } from '../path-locks.ts'
import { type CommitDeps, commitUploads } from '../uploads/commit-uploads.ts'
import type { ContentHasher } from '../uploads/content-hasher.ts'
import { DirectorySync } from '../uploads/directory-sync.ts'
import { InFlightPaths } from '../uploads/in-flight-paths.ts'
import type { Expected, PartialFile } from '../uploads/partial-file.ts'
import { TemporaryFile } from '../uploads/temporary-file.ts'
import { UploadLimits } from '../uploads/upload-limits.ts'
import { notServed, type Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { Timers } from '../watch/watch-timers.ts'
import { AcceptedContents } from './accepted-contents.ts'
import { deleteFile, pruneDirectory } from './delete-file.ts'
import { DiskListing } from './disk-listing.ts'
import type {
  CommittedFile,
  DeletedFile,
  DeleteGuard,
  FileStore,
  KnownFile,
  ListedEntry,
  ListOptions,
  OpenFile,
  ServableFile,
  StagedFile,
  StageOptions,
  Upload,
} from './file-store.ts'
import { isTold, knownFile, toldFile } from './known-file.ts'
import { isWorldReadable, OpenDiskFile, openLeaf } from './open-disk-file.ts'
import { ServeLinks } from './serve-links.ts'
import { Staging } from './staging.ts'
import { errorCode, isMissing, storageFault } from './storage-fault.ts'
import { isServable, type OwnLinks } from './visible-file.ts'

export interface DiskFileStoreDeps {
  readonly volumes: Volumes
  readonly index: FileIndex
  /** Shared with the reconciler. */
  readonly locks: PathLocks
  readonly hasher: ContentHasher
  readonly validators?: readonly ContentValidator[]
  /** Says what uploads may take, and which former contents are kept. */
  readonly policy?: FilePolicy
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /**
   * Tells what is on disk at a path when it is not what was told. Called with the lock of the path held;
   * may leave an edit untold that has not settled.
   */
  readonly reconcile?: (path: FilePath) => Promise<void>
  /** Told of a file that was deleted and had never been told: no event says so. */
  readonly untoldDeleted?: ((path: FilePath, size: number) => void) | undefined
}

export interface DiskFileStoreOptions {
  /** Largest file. */
  readonly maxFileBytes?: number
  /** For the speed of uploads. */
  readonly timers?: Timers
}

/** A content at more paths than this is looked for at the first ones only. */
const MAX_SOURCES = 100

/** Files in directories of this machine; design: `docs/architecture.md`. */
export class DiskFileStore implements FileStore, AsyncDisposable {
  readonly serveLinks: ServeLinks
  readonly accepted: AcceptedContents
  readonly ownLinks: OwnLinks
  readonly history: DiskFileHistory
  readonly #deps: DiskFileStoreDeps
  readonly #commitDeps: CommitDeps
  readonly #maxBytes: number
  readonly #limits: UploadLimits
  readonly #staging: Staging
  readonly #listing: DiskListing

  constructor(deps: DiskFileStoreDeps, options: DiskFileStoreOptions = {}) {
    const { volumes, index, locks, validators = [], now = Date.now } = deps
    const { policy = new FilePolicy(DEFAULT_LIMITS, []) } = deps
    const { maxFileBytes = Number.POSITIVE_INFINITY, timers } = options
    const accepted = new AcceptedContents(volumes, validators)
    const inFlight = new InFlightPaths()
    const directorySync = new DirectorySync()
    const keeper = new VersionKeeper({ index, policy, directorySync, now })
    const ownLinks: OwnLinks = (dev, ino) =>
      this.serveLinks.countOf(dev, ino) + keeper.countOf(dev, ino)
    this.ownLinks = ownLinks
    this.serveLinks = new ServeLinks({ index, locks, inFlight })
    this.accepted = accepted
    this.#deps = deps
    this.#maxBytes = maxFileBytes
    this.#commitDeps = {
      index,
      locks,
      inFlight,
      ownLinks,
      accepted,
      directorySync,
      keeper,
      reconcile: deps.reconcile ?? (() => Promise.resolve()),
      untoldDeleted: deps.untoldDeleted,
    }
    this.#listing = new DiskListing({ volumes, index, ownLinks, accepted })
    const { limits } = policy
    this.#limits = new UploadLimits({ volumes, index, limits, ...(timers && { timers }) })
    const { hasher } = deps
    this.#staging = new Staging({ hasher, validators, limits: this.#limits, maxFileBytes })
    this.history = new DiskFileHistory({
      volumes,
      policy,
      commit: this.#commitDeps,
      serveLinks: this.serveLinks,
      limits: this.#limits,
      validators,
      now,
    })
  }

  async find(path: FilePath): Promise<KnownFile | undefined> {
    await using file = await this.open(path)
    return file
  }

  async glance(path: FilePath): Promise<ServableFile | undefined> {
    const volume = this.#deps.volumes.of(path)
    const segments = volume?.segmentsOf(path)
    if (volume === undefined || segments === undefined) return undefined
    const stats = volume.glance(segments)
    if (stats === undefined || !isServable(stats, this.#commitDeps.ownLinks)) return undefined
    const entry = await this.#deps.index.get(path)
    if (entry === undefined || !isTold(stats, entry) || !isWorldReadable(stats)) return undefined
    return { ...toldFile(entry), serveLink: () => this.serveLinks.linkTo(volume, path, stats) }
  }

  async open(path: FilePath): Promise<OpenFile | undefined> {
    const { inFlight } = this.#commitDeps
    for (;;) {
      using look = inFlight.look(path)
      const file = await this.#open(path)
      const isJudged = this.accepted.judges(path)
      const isClear = file === undefined ? !isJudged : file.etag !== undefined
      // File and index are looked at one after the other; an upload may have come in between.
      if (isClear || !look.isDisturbed) return file
      await file?.[Symbol.asyncDispose]()
      await inFlight.settled(path)
    }
  }

  async admit(path: FilePath, options: Pick<StageOptions, 'uploader' | 'size'>): Promise<void> {
    const { uploader = '', size } = options
    await this.#limits.admit(this.#volumeOf(path), { path, uploader, size })
  }

  async stage(
    path: FilePath,
    content: AsyncIterable<Uint8Array>,
    options: StageOptions,
  ): Promise<StagedFile> {
    return this.#staging.receive(this.#volumeOf(path), path, content, options)
  }

  async stageKnown(
    path: FilePath,
    sha256: string,
    mayRead: (path: FilePath) => boolean,
    options: Omit<StageOptions, 'digests'>,
  ): Promise<StagedFile | undefined> {
    const volume = this.#volumeOf(path)
    for (const source of await this.#deps.index.withContent(sha256, MAX_SOURCES)) {
      if (!mayRead(source)) continue
      await using file = await this.#open(source)
      if (file?.sha256 !== sha256 || file.size > this.#maxBytes) continue
      try {
        return await this.#staging.copy(volume, path, file, options)
      } catch (error) {
        // One that was edited while it was copied is as if it were not there.
        if (error instanceof BrokerError) throw error
      }
    }
    return undefined
  }

  /**
   * A content that arrives in parts; `commit` takes what it stages.
   *
   * @throws {BrokerError} `PATH_INVALID` for a name that is never served
   */
  partial(expected: Expected): PartialFile {
    return this.#staging.partial(this.#volumeOf(expected.path), expected)
  }

  commit(uploads: readonly Upload[]): Promise<readonly CommittedFile[]> {
    const temporaries = uploads.map(({ staged, guard }) => {
      if (!(staged instanceof TemporaryFile)) throw new Error('the file was staged elsewhere')
      return { temporary: staged, volume: this.#volumeOf(staged.path), guard }
    })
    return commitUploads(this.#commitDeps, temporaries)
  }

  async delete(path: FilePath, guard: DeleteGuard): Promise<DeletedFile | undefined> {
    const volume = this.#deps.volumes.of(path)
    if (volume?.segmentsOf(path) === undefined) return undefined
    const { locks, inFlight } = this.#commitDeps
    try {
      return await locks.hold(path, () =>
        inFlight.during([path], () => deleteFile(this.#commitDeps, volume, path, guard)),
      )
    } catch (error) {
      if (isMissing(error)) return undefined
      throw storageFault(error)
    }
  }

  list(
    directory: FilePath | '',
    options: ListOptions,
  ): Promise<AsyncIterable<ListedEntry> | undefined> {
    return this.#listing.list(directory, options)
  }

  async prune(directory: FilePath): Promise<void> {
    const volume = this.#deps.volumes.of(directory)
    if (volume === undefined || volume.only !== undefined) return
    const segments = directory.split('/').slice(volume.prefix === '' ? 0 : 1)
    if (segments.some((name) => volume.isHidden(name))) return
    await pruneDirectory(volume, segments)
  }

  async close(): Promise<void> {
    await this.serveLinks.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #volumeOf(path: FilePath): Volume {
    const volume = this.#deps.volumes.of(path)
    if (volume?.segmentsOf(path) === undefined) throw notServed()
    return volume
  }

  async #open(path: FilePath): Promise<OpenDiskFile | undefined> {
    const volume = this.#deps.volumes.of(path)
    if (volume?.segmentsOf(path) === undefined) return undefined
    await using cleanup = new AsyncDisposableStack()
    try {
      await using place = await volume.findPlace(path, 'read')
      if (place === undefined) return undefined
      const { handle, stats } = await openLeaf(place)
      cleanup.use(handle)
      if (!isServable(stats, this.#commitDeps.ownLinks)) return undefined
      const entry = await this.#deps.index.get(path)
      const known = knownFile(path, stats, entry)
      if (known.etag === undefined && this.accepted.judges(path)) {
        return await this.#openAccepted(entry)
      }
      cleanup.move()
      return new OpenDiskFile(known, handle, stats, () =>
        this.serveLinks.linkTo(volume, path, stats),
      )
    } catch (error) {
      // ENXIO is a socket or a device without a driver; EACCES is a file that is not for the broker.
      if (!isMissing(error) && !['ENXIO', 'EACCES'].includes(errorCode(error) ?? '')) {
        throw storageFault(error)
      }
      await volume.requireOnline()
      return undefined
    }
  }

  /** What is on disk was refused or not judged yet: what was accepted last stands for it. */
  async #openAccepted(entry: IndexEntry | undefined): Promise<OpenDiskFile | undefined> {
    const handle = entry && (await this.accepted.open(entry))
    if (entry === undefined || handle === undefined) return undefined
    const stats = await handle.stat({ bigint: true })
    return new OpenDiskFile(toldFile(entry), handle, stats, () => Promise.resolve(undefined))
  }
}
