import { type BigIntStats, lstatSync } from 'node:fs'
import { chmod, mkdir, open, realpath, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ulid } from 'ulid'
import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { errorCode, isMissing } from '../store/storage-fault.ts'
import { ConfinedDirectory } from './confined-directory.ts'
import { DirectoryWalk, offline, type Purpose } from './directory-walk.ts'
import { isLocal } from './local-file-system.ts'
import { Place } from './place.ts'
import { VolumeIdentity } from './volume-identity.ts'

/** Names that are neither served nor told, so that rsync, scp and editors may work in a volume. */
export function isHiddenName(name: string): boolean {
  return /^[.~]|\.(?:part|tmp)$/.test(name)
}

export interface VolumeOptions {
  /** What it is called in the state and in metrics. */
  readonly name: string
  /** Its first segment below `/files/`; `''` for the default volume, which has all other paths. */
  readonly prefix: string
  readonly directory: string
  /** For temporary files, serve-links and versions; made when missing. */
  readonly stateDirectory: string
  readonly isHidden?: (name: string) => boolean
  /**
   * Serves one file and nothing else: `file`, wherever a symbolic link of that name leads, as `name`.
   * `directory` is then not looked at.
   */
  readonly only?: { readonly name: string; readonly file: string }
}

/** A directory that is served under one prefix of `/files/`. */
export class Volume {
  readonly name: string
  readonly prefix: string
  readonly directory: string
  readonly stateDirectory: string
  readonly isHidden: (name: string) => boolean
  readonly only: { readonly name: string; readonly file: string } | undefined
  readonly #identity: VolumeIdentity | undefined
  readonly #walk: DirectoryWalk
  #sharesDevice: boolean | undefined
  readonly #answersAtOnce: boolean

  private constructor(
    options: VolumeOptions,
    identity: VolumeIdentity | undefined,
    answersAtOnce: boolean,
  ) {
    this.name = options.name
    this.prefix = options.prefix
    this.directory = resolve(options.directory)
    this.stateDirectory = resolve(options.stateDirectory)
    this.isHidden = options.isHidden ?? isHiddenName
    this.only = options.only
    this.#identity = identity
    this.#answersAtOnce = answersAtOnce
    this.#walk = new DirectoryWalk({ directory: this.directory, identity })
  }

  static async open(options: VolumeOptions): Promise<Volume> {
    const { directory, stateDirectory } = options
    // A worker of nginx, another user, passes through to the links it serves, and sees nothing else.
    await makeWithMode(stateDirectory, 0o711)
    await makeWithMode(join(stateDirectory, 'temp'), 0o700)
    await makeWithMode(join(stateDirectory, 'serve'), 0o711)
    await makeWithMode(join(stateDirectory, 'versions'), 0o700)
    const identity =
      options.only === undefined
        ? await VolumeIdentity.establish(directory, stateDirectory)
        : undefined
    const answersAtOnce = options.only === undefined && (await isLocal(directory))
    return new Volume(options, identity, answersAtOnce)
  }

  get serveDirectory(): string {
    return join(this.stateDirectory, 'serve')
  }

  /** The names from `directory` to a path of this volume; undefined for one that is never served. */
  segmentsOf(path: FilePath): readonly string[] | undefined {
    const segments = path.split('/')
    if (this.prefix !== '' && segments.shift() !== this.prefix) return undefined
    if (segments.length === 0 || segments.some((name) => this.isHidden(name))) return undefined
    if (this.only !== undefined && segments.join('/') !== this.only.name) return undefined
    return segments
  }

  /** The path of a name on disk; undefined for one outside the rules. */
  pathOf(segments: readonly string[]): FilePath | undefined {
    if (segments.some((name) => this.isHidden(name))) return undefined
    const path = parseFilePath(
      [...(this.prefix === '' ? [] : [this.prefix]), ...segments].join('/'),
    )
    return path.ok ? path.value : undefined
  }

  /**
   * Opens the directory of a file. Nothing but directories is passed through.
   *
   * @throws ENOENT or ENOTDIR; {BrokerError} `PATH_INVALID` for a name that is never served,
   *   `UNAVAILABLE` for a writer when the volume is offline
   */
  async openPlace(path: FilePath, purpose: Purpose): Promise<Place> {
    const segments = this.segmentsOf(path)
    if (segments === undefined) throw notServed()
    if (this.only !== undefined) {
      const target = await this.#target(this.only.file)
      return new Place(await ConfinedDirectory.openRoot(dirname(target)), basename(target))
    }
    const name = segments[segments.length - 1] ?? ''
    return new Place(await this.#walk.open(segments.slice(0, -1), purpose), name)
  }

  /** The same, or undefined when a directory that leads to the file is missing. */
  async findPlace(path: FilePath, purpose: Purpose): Promise<Place | undefined> {
    try {
      return await this.openPlace(path, purpose)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      await this.requireOnline()
      return undefined
    }
  }

  /**
   * What is at a path, without waiting: half of the cost of a small download was waiting for the threads that
   * ask the file system. Only where it answers at once. Nobody looks whether a symbolic link is on the way:
   * good for no more than to see that a file is, by inode and times, the one that was told.
   */
  glance(segments: readonly string[]): BigIntStats | undefined {
    if (!this.#answersAtOnce || !this.#walk.answeredAtOnce) return undefined
    try {
      const path = `${this.directory}/${segments.join('/')}`
      return lstatSync(path, { bigint: true, throwIfNoEntry: false })
    } catch {
      // Whoever walks there says what is wrong with it.
      return undefined
    }
  }

  /** Opens a directory of the volume by its names. @throws ENOENT or ENOTDIR */
  openDirectory(segments: readonly string[]): Promise<ConfinedDirectory> {
    return this.#walk.open(segments, 'read')
  }

  /** False while the directory is not there or not the one that the state knows (unmounted). */
  async isOnline(): Promise<boolean> {
    try {
      if (this.only !== undefined) {
        await using _ = await ConfinedDirectory.openRoot(dirname(this.only.file))
        return true
      }
      await using root = await ConfinedDirectory.openRoot(this.directory)
      return (await this.#identity?.isIn(root)) ?? true
    } catch (error) {
      if (isMissing(error) || errorCode(error) === 'EIO') return false
      throw error
    }
  }

  /** @throws {BrokerError} `UNAVAILABLE` */
  async requireOnline(): Promise<void> {
    if (await this.isOnline()) return
    throw offline()
  }

  /** Where its temporary files are, and what their names begin with. */
  async temporaryDirectory(): Promise<TemporaryDirectory> {
    if (this.only !== undefined) {
      return { directory: dirname(await this.#target(this.only.file)), prefix: '.broker-' }
    }
    return (await this.sharesDevice())
      ? { directory: join(this.stateDirectory, 'temp'), prefix: '' }
      : { directory: this.directory, prefix: '.broker-' }
  }

  /** Where former contents are kept; undefined for a single served file, which has none. */
  async versionDirectory(): Promise<TemporaryDirectory | undefined> {
    if (this.only !== undefined) return undefined
    return (await this.sharesDevice())
      ? { directory: join(this.stateDirectory, 'versions'), prefix: '' }
      : { directory: this.directory, prefix: '.broker-version-' }
  }

  async versionFile(id: string): Promise<string | undefined> {
    const { directory, prefix } = (await this.versionDirectory()) ?? {}
    return directory === undefined ? undefined : join(directory, prefix + id)
  }

  /** True when a file can be linked between the state directory and the volume. */
  async sharesDevice(): Promise<boolean> {
    if (this.only !== undefined) return false
    this.#sharesDevice ??= await canRename(join(this.stateDirectory, 'temp'), this.directory)
    return this.#sharesDevice
  }

  async #target(file: string): Promise<string> {
    try {
      return await realpath(file)
    } catch (error) {
      if (isMissing(error)) return resolve(file)
      throw error
    }
  }
}

export interface TemporaryDirectory {
  readonly directory: string
  readonly prefix: string
}

export function notServed(): BrokerError {
  return new BrokerError('PATH_INVALID', 'no file of this name is served')
}

async function makeWithMode(directory: string, mode: number): Promise<void> {
  await mkdir(directory, { recursive: true, mode })
  await chmod(directory, mode)
}

/** Tries it: two mounts of one device have the same number and still refuse. */
async function canRename(from: string, to: string): Promise<boolean> {
  const id = ulid()
  const source = join(from, id)
  const target = join(to, `.broker-${id}`)
  await (await open(source, 'wx', 0o600)).close()
  try {
    await rename(source, target)
    await unlink(target)
    return true
  } catch (error) {
    await unlink(source)
    return errorCode(error) !== 'EXDEV'
  }
}
