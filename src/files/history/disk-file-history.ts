import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { FilePolicy } from '../file-policy.ts'
import type { CommittedFile, OpenFile } from '../store/file-store.ts'
import { toldFile } from '../store/known-file.ts'
import { OpenDiskFile } from '../store/open-disk-file.ts'
import type { ServeLinks } from '../store/serve-links.ts'
import { storageFault } from '../store/storage-fault.ts'
import { type CommitDeps, commitUploads } from '../uploads/commit-uploads.ts'
import type { UploadLimits } from '../uploads/upload-limits.ts'
import { validateContent } from '../uploads/validate-content.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { FileHistory, RestoreOptions } from './file-history.ts'
import { KeptContent } from './kept-content.ts'
import { discardVersion } from './version-keeper.ts'
import { expiredVersions } from './version-policy.ts'
import type { FileVersion } from './version-records.ts'

export interface DiskFileHistoryDeps {
  readonly volumes: Volumes
  readonly policy: FilePolicy
  readonly commit: CommitDeps
  readonly serveLinks: ServeLinks
  readonly limits: UploadLimits
  readonly validators: readonly ContentValidator[]
  readonly now: () => number
}

/** Paths whose versions are looked at together. */
const PAGE = 200

/** The versions that lie beside the volumes of this machine. */
export class DiskFileHistory implements FileHistory {
  readonly #deps: DiskFileHistoryDeps

  constructor(deps: DiskFileHistoryDeps) {
    this.#deps = deps
  }

  async versions(path: FilePath): Promise<readonly FileVersion[]> {
    return this.#kept(await this.#deps.commit.index.versions.of(path))
  }

  async *deleted(directory: FilePath | '', after: string): AsyncGenerator<FileVersion> {
    const { index } = this.#deps.commit
    for await (const versions of this.#byPath(directory, after)) {
      const [newest] = this.#kept(versions)
      if (newest !== undefined && (await index.get(newest.path)) === undefined) yield newest
    }
  }

  async open(path: FilePath, id: string): Promise<OpenFile | undefined> {
    const { volume, version } = (await this.#find(path, id)) ?? {}
    if (volume === undefined || version === undefined) return undefined
    const kept = await KeptContent.open(volume, version)
    if (kept === undefined) return undefined
    const { handle, file } = kept
    const stats = await handle.stat({ bigint: true })
    return new OpenDiskFile(toldFile(version), handle, stats, () =>
      this.#deps.serveLinks.linkTo(volume, path, stats, file),
    )
  }

  async restore(
    path: FilePath,
    id: string,
    { guard, confirmShrink, uploader }: RestoreOptions,
  ): Promise<CommittedFile | undefined> {
    const { volume, version } = (await this.#find(path, id)) ?? {}
    if (volume === undefined || version === undefined) return undefined
    await using kept = await KeptContent.open(volume, version)
    if (kept === undefined) return undefined
    const { commit, limits, validators } = this.#deps
    try {
      kept.share = await limits.hold(volume, { path, uploader, size: kept.size })
      const content = { file: kept.file, bytes: () => kept.handle.readFile() }
      await validateContent(validators, kept, content, confirmShrink)
      const [restored] = await commitUploads(commit, [{ temporary: kept, volume, guard }])
      return restored
    } catch (error) {
      const isConflict = error instanceof BrokerError && error.code === 'PATH_CONFLICT'
      // Somebody else restored it, or its time was over, before its turn came.
      if (isConflict && (await this.#find(path, id)) === undefined) return undefined
      throw storageFault(error)
    }
  }

  /** Removes the versions whose time is over. @returns how many */
  async sweep(signal?: AbortSignal): Promise<number> {
    const { policy, commit, volumes, now } = this.#deps
    let removed = 0
    for await (const versions of this.#byPath('', '')) {
      if (signal?.aborted) break
      const [due] = expiredVersions(policy, versions, now())
      const volume = due && volumes.of(due.path)
      if (due === undefined || volume === undefined) continue
      const { path } = due
      await commit.locks.hold(path, async () => {
        const present = await commit.index.versions.of(path)
        const drop = expiredVersions(policy, present, now()).map(({ id }) => id)
        await commit.index.apply({ drop, changes: [] })
        for (const id of drop) await discardVersion(volume, id)
        removed += drop.length
      })
    }
    return removed
  }

  async *#byPath(directory: string, after: string): AsyncGenerator<readonly FileVersion[]> {
    const { versions } = this.#deps.commit.index
    for (let from = after; ; ) {
      const page = await versions.below(directory, from, PAGE)
      yield* Map.groupBy(page, ({ path }) => path).values()
      const last = page.at(-1)
      if (last === undefined) return
      from = last.path
    }
  }

  /** Without those whose time is over and which no sweep has met yet. */
  #kept(versions: readonly FileVersion[]): readonly FileVersion[] {
    const expired = new Set(expiredVersions(this.#deps.policy, versions, this.#deps.now()))
    return versions.filter((version) => !expired.has(version))
  }

  async #find(
    path: FilePath,
    id: string,
  ): Promise<{ readonly volume: Volume; readonly version: FileVersion } | undefined> {
    const volume = this.#deps.volumes.of(path)
    const version = (await this.versions(path)).find((one) => one.id === id)
    if (volume === undefined || version === undefined) return undefined
    return { volume, version }
  }
}
