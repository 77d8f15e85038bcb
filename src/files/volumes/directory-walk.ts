import { basename } from 'node:path'
import { BrokerError } from '../../protocol/problem.ts'
import { errorCode } from '../store/storage-fault.ts'
import { ConfinedDirectory } from './confined-directory.ts'
import { DirectoryCache } from './directory-cache.ts'
import type { VolumeIdentity } from './volume-identity.ts'

/** A writer makes sure that the volume is the known one; `make` also makes missing directories, durably. */
export type Purpose = 'read' | 'write' | 'make'

export interface WalkRoot {
  readonly directory: string
  readonly identity: VolumeIdentity | undefined
}

/** Opens the directories of a volume, one name after the other, and passes through nothing but directories. */
export class DirectoryWalk {
  readonly #root: WalkRoot
  readonly #making = new Map<string, Promise<void>>()
  readonly #recent = new DirectoryCache()
  #answeredAtOnce = true

  constructor(root: WalkRoot) {
    this.#root = root
  }

  /** Whether no directory was met yet whose file system may wait for another machine. */
  get answeredAtOnce(): boolean {
    return this.#answeredAtOnce
  }

  /** @throws ENOENT or ENOTDIR; {BrokerError} `UNAVAILABLE` for a writer when the volume is offline */
  async open(segments: readonly string[], purpose: Purpose): Promise<ConfinedDirectory> {
    // What a reader has opened was not seen to be the known volume.
    const key = `${purpose === 'read' ? 'read' : 'write'}:${segments.join('/')}`
    const recent = await this.#recent.get(key)
    if (recent !== undefined) return recent
    const { directory, identity } = this.#root
    let at = await ConfinedDirectory.openRoot(directory, true)
    if (purpose !== 'read' && (await identity?.isIn(at)) === false) {
      await at[Symbol.asyncDispose]()
      throw offline()
    }
    let path = ''
    for (const name of segments) {
      await using parent = at
      path = `${path}/${name}`
      at =
        purpose === 'read' ? await parent.openChild(name) : await this.#step(parent, path, purpose)
    }
    this.#answeredAtOnce &&= at.answersAtOnce
    this.#recent.put(key, at)
    return at
  }

  async #step(
    parent: ConfinedDirectory,
    path: string,
    purpose: Purpose,
  ): Promise<ConfinedDirectory> {
    const name = basename(path)
    // Somebody else made it and its name is not durable yet: what we put there would not be either.
    await this.#making.get(path)
    try {
      return await parent.openChild(name)
    } catch (error) {
      if (purpose !== 'make' || errorCode(error) !== 'ENOENT') throw error
    }
    const making = this.#making.get(path) ?? parent.makeChild(name)
    this.#making.set(path, making)
    try {
      await making
    } finally {
      this.#making.delete(path)
    }
    return await parent.openChild(name)
  }
}

export function offline(): BrokerError {
  return new BrokerError('UNAVAILABLE', 'the volume of this path is offline')
}
