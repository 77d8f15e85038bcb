import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import type { FileIndex } from '../index/file-index.ts'
import { comparePaths } from '../path-order.ts'
import type { ConfinedDirectory } from '../volumes/confined-directory.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { AcceptedContents } from './accepted-contents.ts'
import type { ListedEntry, ListOptions } from './file-store.ts'
import { isMissing } from './storage-fault.ts'
import { isServable, type OwnLinks } from './visible-file.ts'

/** A name in a directory, before anything was asked about it. */
interface Child {
  readonly name: string
  readonly path: FilePath
  readonly isDirectory: boolean
}

export interface DiskListingDeps {
  readonly volumes: Volumes
  readonly index: FileIndex
  readonly ownLinks: OwnLinks
  readonly accepted: AcceptedContents
}

/**
 * Listings of what is on disk, with the tags of what was told of it. One directory is held in memory at a
 * time, by its names; a file is looked at when its turn comes.
 */
export class DiskListing {
  readonly #deps: DiskListingDeps

  constructor(deps: DiskListingDeps) {
    this.#deps = deps
  }

  async list(
    directory: FilePath | '',
    options: ListOptions,
  ): Promise<AsyncIterable<ListedEntry> | undefined> {
    const children = await this.#childrenOf(directory)
    if (children === undefined) return undefined
    return options.recursive
      ? this.#below(children, directory === '' ? 0 : directory.length + 1, options)
      : this.#inside(children, options)
  }

  async *#inside(children: readonly Child[], options: ListOptions): AsyncGenerator<ListedEntry> {
    const due = children
      .filter(({ name }) => comparePaths(name, options.after) > 0)
      .sort((a, b) => comparePaths(a.name, b.name))
    for (const { name, path, isDirectory } of due) {
      if (!isDirectory) {
        const entry = options.showsFile(path) ? await this.#entryOf(path, name) : undefined
        if (entry !== undefined) yield entry
      } else if (options.showsDirectory(path)) {
        yield { name, type: 'directory', size: undefined, modifiedMs: undefined, etag: undefined }
      }
    }
  }

  /** Depth first, with a directory sorted as `name/`: the order of the whole paths. */
  async *#below(
    children: readonly Child[],
    cut: number,
    options: ListOptions,
  ): AsyncGenerator<ListedEntry> {
    const key = ({ path, isDirectory }: Child) => path.slice(cut) + (isDirectory ? '/' : '')
    for (const child of children.toSorted((a, b) => comparePaths(key(a), key(b)))) {
      const { path, isDirectory } = child
      const name = path.slice(cut)
      if (!isDirectory) {
        const isDue = comparePaths(name, options.after) > 0 && options.showsFile(path)
        const entry = isDue ? await this.#entryOf(path, name) : undefined
        if (entry !== undefined) yield entry
        continue
      }
      const isPast = comparePaths(`${name}/`, options.after) < 0
      const isPassed = isPast && !options.after.startsWith(`${name}/`)
      if (isPassed || !options.showsDirectory(path)) continue
      const inside = await this.#childrenOf(path)
      if (inside !== undefined) yield* this.#below(inside, cut, options)
    }
  }

  async #entryOf(path: FilePath, name: string): Promise<ListedEntry | undefined> {
    const { volumes, index, ownLinks, accepted } = this.#deps
    try {
      await using place = await volumes.of(path)?.findPlace(path, 'read')
      if (place === undefined) return undefined
      const stats = await lstat(place.file, { bigint: true })
      if (!isServable(stats, ownLinks)) return undefined
      const known = await accepted.known(path, stats, await index.get(path))
      if (known === undefined) return undefined
      const { size, modifiedMs, etag } = known
      return { name, type: 'file', size, modifiedMs, etag }
    } catch (error) {
      // It went, or became something else, since its directory was read.
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** @returns undefined when there is no such directory */
  async #childrenOf(directory: FilePath | ''): Promise<Child[] | undefined> {
    const { volumes } = this.#deps
    if (directory === '') return this.#childrenOfRoot()
    const volume = volumes.of(directory)
    if (volume === undefined) return undefined
    const segments = directory.split('/').slice(volume.prefix === '' ? 0 : 1)
    if (segments.some((name) => volume.isHidden(name))) return undefined
    return this.#childrenIn(volume, segments)
  }

  /** The default volume, and the others as directories, which hide those of the same name. */
  async #childrenOfRoot(): Promise<Child[]> {
    const { volumes } = this.#deps
    const main = volumes.at('')
    const own = main === undefined ? [] : ((await this.#childrenIn(main, [])) ?? [])
    const others = volumes.all
      .filter(({ prefix }) => prefix !== '')
      .map(({ prefix }) => ({ name: prefix, path: prefix as FilePath, isDirectory: true }))
    const taken = new Set(others.map(({ name }) => name))
    return [...own.filter(({ name }) => !taken.has(name)), ...others]
  }

  async #childrenIn(volume: Volume, segments: readonly string[]): Promise<Child[] | undefined> {
    if (volume.only !== undefined) {
      const path = volume.pathOf([volume.only.name])
      if (segments.length > 0 || path === undefined) return undefined
      return [{ name: volume.only.name, path, isDirectory: false }]
    }
    try {
      await using directory = await volume.openDirectory(segments)
      return childrenOf(await directoryEntries(directory), volume, segments)
    } catch (error) {
      if (!isMissing(error)) throw error
      await volume.requireOnline()
      return undefined
    }
  }
}

function directoryEntries(directory: ConfinedDirectory): Promise<Dirent[]> {
  return readdir(directory.path, { withFileTypes: true })
}

function childrenOf(
  entries: readonly Dirent[],
  volume: Volume,
  segments: readonly string[],
): Child[] {
  const children: Child[] = []
  for (const entry of entries) {
    // A path on disk outside the rules is not served: it would be listed and could not be asked for.
    const path = volume.pathOf([...segments, entry.name])
    const isServed = path !== undefined && (entry.isDirectory() || entry.isFile())
    if (isServed) children.push({ name: entry.name, path, isDirectory: entry.isDirectory() })
  }
  return children
}

/** Checks the path of a directory. */
export function parseDirectoryPath(segments: readonly string[]): FilePath | '' | undefined {
  if (segments.length === 0) return ''
  const path = parseFilePath(segments.join('/'))
  return path.ok ? path.value : undefined
}
