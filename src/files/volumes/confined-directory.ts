import {
  type BigIntStats,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  readlinkSync,
} from 'node:fs'
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises'
import { errorCode, isMissing } from '../store/storage-fault.ts'
import { isLocal } from './local-file-system.ts'

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Names below it are resolved by the kernel from an open directory: what `openat` is in C. */
const DESCRIPTORS = '/proc/self/fd'

const HAS_DESCRIPTORS = process.platform === 'linux' && existsSync(DESCRIPTORS)

/**
 * A directory of a volume, held open and reached without following a symbolic link. Every operation on
 * what is in it goes by `at(name)`, so that renaming or replacing a directory above it meanwhile leads
 * nowhere else.
 *
 * Without `/proc` the names are checked and then used by path, which somebody who may write into the
 * volume could race; Linux is what the broker is deployed on.
 */
export class ConfinedDirectory implements AsyncDisposable {
  readonly #handle: FileHandle
  readonly #path: string
  /**
   * Whether its file system does, and may be asked without a thread of the pool: the trip to one costs ten times
   * the question, and most of a small upload was such trips.
   */
  readonly answersAtOnce: boolean
  #holders = 1

  private constructor(handle: FileHandle, path: string, answersAtOnce: boolean) {
    this.#handle = handle
    this.#path = path
    this.answersAtOnce = answersAtOnce
  }

  /**
   * @param directory - trusted: symbolic links that lead to it are followed
   * @param looksWhere - finds out whether it, and what is opened below it, answers at once
   */
  static async openRoot(directory: string, looksWhere = false): Promise<ConfinedDirectory> {
    const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY)
    return ConfinedDirectory.#of(handle, directory, looksWhere)
  }

  /** Each is asked: another file system may be mounted there, and later than the broker was started. */
  static async #of(
    handle: FileHandle,
    name: string,
    looksWhere: boolean,
  ): Promise<ConfinedDirectory> {
    const path = HAS_DESCRIPTORS ? `${DESCRIPTORS}/${handle.fd}` : name
    try {
      return new ConfinedDirectory(handle, path, looksWhere && (await isLocal(path)))
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** A path of `name` in this directory, good while it is open. `name` is a single segment. */
  at(name: string): string {
    return `${this.#path}/${name}`
  }

  /** This directory as a path, good while it is open. */
  get path(): string {
    return this.#path
  }

  /** @throws what `open` throws: ENOENT, ENOTDIR for anything but a directory, links included */
  async openChild(name: string): Promise<ConfinedDirectory> {
    const path = this.at(name)
    if (!HAS_DESCRIPTORS) await refuseLink(path)
    return ConfinedDirectory.#of(await open(path, DIRECTORY), path, this.answersAtOnce)
  }

  /** Makes a directory that survives power loss. One that is there already is fine. */
  async makeChild(name: string): Promise<void> {
    try {
      await mkdir(this.at(name))
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
    await this.sync()
  }

  /** One more holder: it is closed when all have disposed of it. */
  retain(): this {
    this.#holders += 1
    return this
  }

  /** What has this name, a link not followed; undefined when nothing has. */
  async stat(name: string): Promise<BigIntStats | undefined> {
    const path = this.at(name)
    try {
      return this.answersAtOnce
        ? lstatSync(path, { bigint: true, throwIfNoEntry: false })
        : await lstat(path, { bigint: true })
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** `fstat` of an open file that lies on the same file system. */
  async statOpen(handle: FileHandle): Promise<BigIntStats> {
    return this.answersAtOnce
      ? fstatSync(handle.fd, { bigint: true })
      : handle.stat({ bigint: true })
  }

  /** Where it is now, which is elsewhere after a move; undefined when that cannot be told. */
  location(): string | undefined {
    // The kernel says it from memory, whatever file system it is.
    return HAS_DESCRIPTORS ? readlinkSync(this.#path) : undefined
  }

  /** Makes the names in this directory durable. */
  sync(): Promise<void> {
    return this.#handle.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holders -= 1
    if (this.#holders === 0) await this.#handle.close()
  }
}

async function refuseLink(path: string): Promise<void> {
  const stats = await lstat(path)
  if (stats.isDirectory()) return
  throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' })
}
