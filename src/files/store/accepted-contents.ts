import { createHash, randomUUID } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import {
  access,
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { FilePath } from '../../protocol/file-path.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { Volume } from '../volumes/volume.ts'
import type { Volumes } from '../volumes/volumes.ts'
import type { KnownFile } from './file-store.ts'
import { isTold, knownFile, toldFile } from './known-file.ts'
import { isMissing } from './storage-fault.ts'

const BLOCK_BYTES = 256 * 1024

/**
 * Copies of the accepted contents of judged files, one for each, below the state of their volume: what is
 * served while the file on disk is something that was refused, or was not judged yet. Copies and not links,
 * because an editor that writes in place writes through every link.
 *
 *     accepted/<sha256 of the path>/<sha256 of the content>
 */
export class AcceptedContents {
  readonly #volumes: Volumes
  readonly #validators: readonly ContentValidator[]

  constructor(volumes: Volumes, validators: readonly ContentValidator[]) {
    this.#volumes = volumes
    this.#validators = validators
  }

  /** True for a file of which nothing is served that was not accepted. */
  judges(path: FilePath): boolean {
    return this.#validators.some((validator) => validator.matches(path))
  }

  /**
   * What callers know of a file on disk. Of a judged one that is what was accepted, whatever is there now.
   *
   * @returns undefined for a judged file of which no accepted content is known, or none is kept
   */
  async known(
    path: FilePath,
    stats: BigIntStats,
    entry: IndexEntry | undefined,
  ): Promise<KnownFile | undefined> {
    if (!this.judges(path)) return knownFile(path, stats, entry)
    if (entry === undefined) return undefined
    if (isTold(stats, entry)) return toldFile(entry)
    const isKept = await access(this.#fileOf(path, entry.sha256)).then(
      () => true,
      () => false,
    )
    return isKept ? toldFile(entry) : undefined
  }

  /** @returns undefined when none is kept */
  async open({ path, sha256 }: IndexEntry): Promise<FileHandle | undefined> {
    try {
      return await open(this.#fileOf(path, sha256), constants.O_RDONLY)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** Copies a content that may be accepted. The caller disposes of the copy, kept or not. */
  async copy(path: FilePath, from: FileHandle): Promise<HeldCopy> {
    const directory = this.#directoryOf(this.#volumeOf(path))
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, randomUUID())
    const { size } = await from.stat()
    await writeFile(file, blocksOf(from, size), { flag: 'wx', mode: 0o400 })
    return new HeldCopy(file, (sha256) => this.#fileOf(path, sha256))
  }

  /** Keeps the copy of the accepted content alone; of a file that is gone (undefined) none. */
  async retain(path: FilePath, sha256: string | undefined): Promise<void> {
    if (!this.judges(path)) return
    const directory = this.#copiesOf(path)
    if (sha256 === undefined) await rm(directory, { recursive: true, force: true })
    else await removeOthers(directory, sha256)
  }

  /**
   * Removes what a crash, or a rule that is gone, has left behind. Nothing is copied meanwhile.
   *
   * @param entries - of the judged files of the volume
   * @returns those of which no copy is kept
   */
  async sweep(
    volume: Volume,
    entries: AsyncIterable<IndexEntry> | Iterable<IndexEntry>,
  ): Promise<readonly FilePath[]> {
    const directory = this.#directoryOf(volume)
    const left = new Set(await namesIn(directory))
    const missing: FilePath[] = []
    for await (const { path, sha256 } of entries) {
      if (this.#volumes.of(path) !== volume || !this.judges(path)) continue
      const name = nameOf(path)
      const isKept = left.delete(name) && (await removeOthers(join(directory, name), sha256))
      if (!isKept) missing.push(path)
    }
    for (const name of left) await rm(join(directory, name), { recursive: true })
    return missing
  }

  #fileOf(path: FilePath, sha256: string): string {
    return join(this.#copiesOf(path), sha256)
  }

  #copiesOf(path: FilePath): string {
    return join(this.#directoryOf(this.#volumeOf(path)), nameOf(path))
  }

  #directoryOf({ stateDirectory }: Volume): string {
    return join(stateDirectory, 'accepted')
  }

  #volumeOf(path: FilePath): Volume {
    const volume = this.#volumes.of(path)
    if (volume === undefined) throw new Error('the path is of no volume')
    return volume
  }
}

/** A copy that nobody else knows of. */
export class HeldCopy implements AsyncDisposable {
  readonly file: string
  readonly #target: (sha256: string) => string
  #isKept = false

  constructor(file: string, target: (sha256: string) => string) {
    this.file = file
    this.#target = target
  }

  /** Makes it durable and one to be served. */
  async keep(sha256: string): Promise<void> {
    const target = this.#target(sha256)
    await using handle = await open(this.file, constants.O_RDONLY)
    await handle.datasync()
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    await rename(this.file, target)
    this.#isKept = true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKept) await rm(this.file, { force: true })
  }
}

/**
 * The first `size` bytes of a file, or all when it has fewer by now. `copyFile` does not end when the file
 * is cut under it: libuv asks for the rest for ever (seen on 1.51, 80% of a core).
 */
async function* blocksOf(file: FileHandle, size: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < size; ) {
    const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, size - position))
    const { bytesRead } = await file.read(block, 0, block.length, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield block.subarray(0, bytesRead)
  }
}

/** Paths are longer than names may be. */
function nameOf(path: FilePath): string {
  return createHash('sha256').update(path).digest('hex')
}

/** @returns whether `wanted` is there */
async function removeOthers(directory: string, wanted: string): Promise<boolean> {
  const names = await namesIn(directory)
  for (const name of names) if (name !== wanted) await unlink(join(directory, name))
  return names.includes(wanted)
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
