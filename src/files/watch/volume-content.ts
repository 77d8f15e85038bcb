import { constants } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import type { FilePath } from '../../protocol/file-path.ts'
import { fingerprintOf } from '../fingerprint.ts'
import type { AcceptedContents } from '../store/accepted-contents.ts'
import { isMissing } from '../store/storage-fault.ts'
import type { OwnLinks } from '../store/visible-file.ts'
import type { ContentHasher } from '../uploads/content-hasher.ts'
import { digestFile } from '../uploads/digest-file.ts'
import type { Place } from '../volumes/place.ts'
import type { Volume } from '../volumes/volume.ts'
import type { ContentCopy, ContentReader, FileLook, HashedContent } from './content-reader.ts'

/** A pipe would block `open`, a link would lead elsewhere. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Reads the files of a volume for the watcher. */
export class VolumeContent implements ContentReader {
  readonly #volume: Volume
  readonly #hasher: ContentHasher
  readonly #ownLinks: OwnLinks
  readonly #accepted: AcceptedContents

  constructor(
    volume: Volume,
    hasher: ContentHasher,
    ownLinks: OwnLinks,
    accepted: AcceptedContents,
  ) {
    this.#accepted = accepted
    this.#volume = volume
    this.#hasher = hasher
    this.#ownLinks = ownLinks
  }

  async look(path: FilePath): Promise<FileLook | undefined> {
    await using place = await this.#place(path)
    const stats = await place?.stat()
    if (stats?.isFile() !== true) return undefined
    const isShared = Number(stats.nlink) > 1 + this.#ownLinks(stats.dev, stats.ino)
    return { fingerprint: fingerprintOf(stats), isShared }
  }

  async hash(path: FilePath): Promise<HashedContent | undefined> {
    await using file = await this.#open(path)
    if (file === undefined) return undefined
    const stats = await file.stat({ bigint: true })
    if (!stats.isFile()) return undefined
    const before = fingerprintOf(stats)
    // Not to the end: a file that grows as fast as it is read has none.
    const sha256 = await this.#digest(file, before.size)
    const after = fingerprintOf(await file.stat({ bigint: true }))
    return { sha256, before, after }
  }

  async copy(path: FilePath): Promise<ContentCopy | undefined> {
    await using source = await this.#open(path)
    if (source === undefined || !(await source.stat()).isFile()) return undefined
    await using cleanup = new AsyncDisposableStack()
    const copy = cleanup.use(await this.#accepted.copy(path, source))
    await using file = await open(copy.file, READ)
    const { size } = await file.stat()
    const sha256 = await this.#digest(file, size)
    cleanup.move()
    return {
      size,
      sha256,
      file: copy.file,
      bytes: () => readFile(copy.file),
      keep: () => copy.keep(sha256),
      [Symbol.asyncDispose]: () => copy[Symbol.asyncDispose](),
    }
  }

  retain(path: FilePath, sha256: string | undefined): Promise<void> {
    return this.#accepted.retain(path, sha256)
  }

  async #digest(file: FileHandle, size: number): Promise<string> {
    const digests = await digestFile(file, size, ['sha-256'], this.#hasher)
    return digests['sha-256'] ?? ''
  }

  async #open(path: FilePath): Promise<FileHandle | undefined> {
    await using place = await this.#place(path)
    if (place === undefined) return undefined
    try {
      return await open(place.file, READ)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async #place(path: FilePath): Promise<Place | undefined> {
    try {
      return await this.#volume.openPlace(path, 'read')
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}
