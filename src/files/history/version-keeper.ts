import { link, lstat, rename, unlink } from 'node:fs/promises'
import { BrokerError } from '../../protocol/problem.ts'
import type { FilePolicy } from '../file-policy.ts'
import { type Fingerprint, fingerprintOf, sameContent } from '../fingerprint.ts'
import type { FileIndex, IndexMutation } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import { unlinkIfThere } from '../store/unlink-if-there.ts'
import type { DirectorySync } from '../uploads/directory-sync.ts'
import { ConfinedDirectory } from '../volumes/confined-directory.ts'
import type { Place } from '../volumes/place.ts'
import type { Volume } from '../volumes/volume.ts'
import { inodeKey } from '../watch/move-pairs.ts'
import { expiredVersions, keepsFormer } from './version-policy.ts'
import type { FileVersion } from './version-records.ts'

export interface VersionKeeperDeps {
  readonly index: FileIndex
  readonly policy: FilePolicy
  readonly directorySync: DirectorySync
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A content that is at its place and is not to be there much longer. */
export interface LeavingContent {
  /** Of its version, by which recovery finds it. */
  readonly id: string
  readonly volume: Volume
  readonly place: Place
  /** As it was told. */
  readonly entry: IndexEntry
  /** The version that takes its place, of which none is left. */
  readonly successor?: FileVersion | undefined
}

/** A content that has a name among the versions and is not recorded yet. Disposing of it undoes that. */
export interface FormerContent extends AsyncDisposable {
  /** For the mutation that tells why it is a former one. */
  readonly mutation: Required<Pick<IndexMutation, 'keep' | 'drop'>>
  /** It is a former content now, whether that can be recorded or not. */
  settle(): void
  /** When the mutation is durable: removes what it dropped. */
  clean(): Promise<void>
}

/**
 * Keeps contents that are about to be replaced or deleted: by a hard link or a rename, never by a copy.
 * The caller holds the lock of the path.
 */
export class VersionKeeper {
  readonly #deps: VersionKeeperDeps
  readonly #linked = new Set<string>()

  constructor(deps: VersionKeeperDeps) {
    this.#deps = deps
  }

  /** How many names of a visible file are versions: one, for the moment before it is replaced. */
  countOf(dev: bigint, ino: bigint): number {
    return this.#linked.has(`${dev}:${ino}`) ? 1 : 0
  }

  /**
   * Gives a content that is about to be replaced its second name, durably.
   *
   * @returns undefined when no rule keeps it
   * @throws EPERM where the broker may not link the file; {BrokerError} `PATH_CONFLICT` when it is being
   *   changed on disk
   */
  async link(leaving: LeavingContent): Promise<FormerContent | undefined> {
    const { place, entry } = leaving
    const file = await this.#fileFor(leaving, false)
    if (file === undefined) return undefined
    const key = inodeKey(entry.fingerprint)
    // Known before it is there, so that no reader takes it for a link made by somebody else.
    this.#linked.add(key)
    const undo = async () => {
      await unlinkIfThere(file)
      this.#linked.delete(key)
      await this.#correct(place, entry)
    }
    const release = () => this.#linked.delete(key)
    try {
      await link(place.file, file)
      return await this.#former(leaving, { file, deleted: false, undo, release })
    } catch (error) {
      await undo()
      throw error
    }
  }

  /**
   * Takes a content that is to be deleted away from its place, durably.
   *
   * @returns undefined, with nothing done, when no rule keeps it
   * @throws {BrokerError} `PATH_CONFLICT` when it is being changed on disk
   */
  async take(leaving: LeavingContent): Promise<FormerContent | undefined> {
    const { place, entry } = leaving
    const file = await this.#fileFor(leaving, true)
    if (file === undefined) return undefined
    const visible = place.file
    const undo = async () => {
      // Not by a rename, which could replace what has come there meanwhile.
      await link(file, visible)
      await unlink(file)
      await this.#correct(place, entry)
    }
    await rename(visible, file)
    try {
      return await this.#former(leaving, { file, deleted: true, undo, release: () => undefined })
    } catch (error) {
      await undo()
      throw error
    }
  }

  async #fileFor(
    { id, volume, entry }: LeavingContent,
    deleted: boolean,
  ): Promise<string | undefined> {
    return keepsFormer(this.#deps.policy, entry.path, deleted) ? volume.versionFile(id) : undefined
  }

  async #former(
    { id, volume, entry, successor }: LeavingContent,
    { file, deleted, undo, release }: NamedFile,
  ): Promise<FormerContent> {
    const { index, policy, now } = this.#deps
    const fingerprint = fingerprintOf(await lstat(file, { bigint: true }))
    if (!sameContent(entry.fingerprint, fingerprint)) {
      throw new BrokerError('PATH_CONFLICT', 'the file is being changed on disk at the same time')
    }
    const present = await index.versions.of(entry.path)
    const others = present.filter((one) => one.id !== successor?.id)
    const version = versionOf(id, entry, fingerprint, present, deleted, now())
    const drop = expiredVersions(policy, [version, ...others], now()).map((one) => one.id)
    await this.#sync(volume)
    let isSettled = false
    return {
      mutation: { keep: [version], drop },
      settle: () => {
        isSettled = true
      },
      clean: async () => {
        for (const gone of drop) await discardVersion(volume, gone)
      },
      [Symbol.asyncDispose]: async () => {
        if (isSettled) release()
        else await undo()
      },
    }
  }

  async #sync(volume: Volume): Promise<void> {
    const { directory } = (await volume.versionDirectory()) ?? {}
    if (directory === undefined) return
    await this.#deps.directorySync.sync(`versions of ${volume.name}`, async () => {
      await using opened = await ConfinedDirectory.openRoot(directory)
      await opened.sync()
    })
  }

  /** A second name that came and went moved the `ctime`: without this the file would be read again. */
  async #correct(place: Place, entry: IndexEntry): Promise<void> {
    const stats = await place.stat()
    if (stats === undefined) return
    const fingerprint = fingerprintOf(stats)
    if (!sameContent(entry.fingerprint, fingerprint)) return
    await this.#deps.index.apply({ put: [{ ...entry, fingerprint }], changes: [] })
  }
}

/** Its name among the versions, and how to be rid of it. */
interface NamedFile {
  readonly file: string
  readonly deleted: boolean
  readonly undo: () => Promise<void>
  readonly release: () => void
}

/** @param others - the versions of the path, newest first */
export function versionOf(
  id: string,
  entry: IndexEntry,
  fingerprint: Fingerprint,
  others: readonly FileVersion[],
  deleted: boolean,
  nowMs: number,
): FileVersion {
  // A clock that was set back must not change the order.
  const replacedMs = Math.max(nowMs, (others[0]?.replacedMs ?? 0) + 1)
  return { ...entry, id, fingerprint, replacedMs, deleted }
}

/** Removes the content of a version that is recorded no more. What is left is swept at the next start. */
export async function discardVersion(volume: Volume, id: string): Promise<void> {
  const file = await volume.versionFile(id)
  if (file !== undefined) await unlinkIfThere(file).catch(() => undefined)
}
