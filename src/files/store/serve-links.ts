import type { BigIntStats } from 'node:fs'
import { link, lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import type { FilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, fingerprintOf, sameContent, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { PathLocks } from '../path-locks.ts'
import type { InFlightPaths } from '../uploads/in-flight-paths.ts'
import type { Volume } from '../volumes/volume.ts'
import { isMissing } from './storage-fault.ts'
import { unlinkIfThere } from './unlink-if-there.ts'

interface ServeLink {
  readonly volume: Volume
  readonly path: FilePath
  readonly name: string
  /** False while it is made or removed: a front server that is told of it then may find nothing. */
  isThere: boolean
  usedAtMs: number
}

export interface ServeLinksDeps {
  readonly index: FileIndex
  readonly locks: PathLocks
  readonly inFlight: InFlightPaths
  /** Milliseconds, for the idle time. */
  readonly now?: () => number
}

/** More links are not made; the broker then sends the bytes itself. */
const MAX_LINKS = 10_000

/** A front server opens a link right after it was told of it. */
const IDLE_MS = 60_000

/**
 * Hard links under which a front server reads a content that was promised by its tag. The visible name
 * may be another file by the time it is opened; a link never is: uploads replace files, they do not
 * rewrite them.
 *
 * Making or removing a link moves the `ctime` of the file. That is no change of its content, so the index
 * is corrected without an event, under the lock of the path.
 */
export class ServeLinks implements AsyncDisposable {
  readonly #deps: ServeLinksDeps
  readonly #now: () => number
  /** By device and inode. */
  readonly #links = new Map<string, ServeLink>()
  #timer: NodeJS.Timeout | undefined

  constructor(deps: ServeLinksDeps) {
    this.#deps = deps
    this.#now = deps.now ?? (() => performance.now())
  }

  /** How many names of a file are serve-links. */
  countOf(dev: bigint, ino: bigint): number {
    return this.#links.has(`${dev}:${ino}`) ? 1 : 0
  }

  /**
   * @param stats - of the open file whose content was promised
   * @param kept - where it lies, when it is a version and not what is visible at the path
   * @returns `<volume>/serve/<link>`, or undefined when no link can be made
   */
  async linkTo(
    volume: Volume,
    path: FilePath,
    stats: Pick<BigIntStats, 'dev' | 'ino'>,
    kept?: string,
  ): Promise<string | undefined> {
    const key = `${stats.dev}:${stats.ino}`
    const present = this.#use(key)
    if (present !== undefined) return present
    if (this.#links.size >= MAX_LINKS || !(await volume.sharesDevice())) return undefined
    await this.#deps.locks.hold(path, async () => {
      if (!this.#links.has(key)) await this.#make(volume, path, key, kept)
    })
    return this.#use(key)
  }

  /** Removes links that nobody asked for lately; all of them with an `idleMs` of 0. */
  async retire(idleMs = IDLE_MS): Promise<void> {
    const before = this.#now() - idleMs
    const idle = [...this.#links].filter(([, { usedAtMs }]) => usedAtMs <= before)
    for (const [key, { path }] of idle) {
      await this.#deps.locks.hold(path, () => this.#remove(key, before))
    }
    if (this.#links.size === 0) this.#stopTimer()
  }

  async close(): Promise<void> {
    this.#stopTimer()
    await this.retire(0)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #use(key: string): string | undefined {
    const present = this.#links.get(key)
    if (present === undefined || !present.isThere) return undefined
    present.usedAtMs = this.#now()
    return `${encodeURIComponent(present.volume.name)}/serve/${present.name}`
  }

  async #make(volume: Volume, path: FilePath, key: string, kept?: string): Promise<void> {
    const name = ulid()
    const makeFrom = async (file: string) => {
      // Known before it is there, so that no reader takes it for a link made by somebody else.
      const made: ServeLink = { volume, path, name, isThere: false, usedAtMs: this.#now() }
      this.#links.set(key, made)
      made.isThere = await linkIfSame(file, join(volume.serveDirectory, name), key)
      if (!made.isThere) this.#links.delete(key)
      return made.isThere
    }
    const isMade =
      kept !== undefined
        ? await makeFrom(kept)
        : await this.#keepTold(volume, path, async (visible, stats) =>
            `${stats.dev}:${stats.ino}` === key ? makeFrom(visible) : false,
          )
    if (isMade) this.#startTimer()
  }

  async #remove(key: string, before: number): Promise<void> {
    const present = this.#links.get(key)
    if (present === undefined || present.usedAtMs > before) return
    present.isThere = false
    const file = join(present.volume.serveDirectory, present.name)
    await this.#keepTold(present.volume, present.path, () => unlinkIfThere(file))
    // Where the visible file is another one by now, there is nothing to keep right.
    await unlinkIfThere(file)
    this.#links.delete(key)
  }

  /** Runs `work`, which moves only `ctime`, on a file that is as it was told, and keeps it told. */
  async #keepTold(
    volume: Volume,
    path: FilePath,
    work: (visible: string, stats: BigIntStats) => Promise<boolean>,
  ): Promise<boolean> {
    await using place = await volume.findPlace(path, 'read').catch((error: unknown) => {
      // Of a directory on the way that is a symbolic link by now.
      if (isMissing(error)) return undefined
      throw error
    })
    if (place === undefined) return false
    const [before, entry] = [await place.stat(), await this.#deps.index.get(path)]
    if (before === undefined || entry === undefined) return false
    if (!sameFingerprint(entry.fingerprint, fingerprintOf(before))) return false
    return await this.#deps.inFlight.during([path], async () => {
      if (!(await work(place.file, before))) return false
      const after = await place.stat()
      const put = after === undefined ? undefined : touched(entry, fingerprintOf(after))
      if (put !== undefined) await this.#deps.index.apply({ put: [put], changes: [] })
      return true
    })
  }

  #startTimer(): void {
    this.#timer ??= setInterval(() => {
      // What fails stays and is tried again.
      this.retire().catch(() => undefined)
    }, IDLE_MS / 2).unref()
  }

  #stopTimer(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/**
 * Another file may be moved to the place between the look at it and the link: then that one has the link.
 *
 * @param key - device and inode of the file that is meant
 * @returns false when it has no link
 */
async function linkIfSame(file: string, target: string, key: string): Promise<boolean> {
  try {
    await link(file, target)
  } catch {
    // Not every file may be linked (fs.protected_hardlinks, EMLINK): its bytes are sent instead.
    return false
  }
  const { dev, ino } = await lstat(target, { bigint: true })
  if (`${dev}:${ino}` === key) return true
  await unlinkIfThere(target)
  return false
}

/**
 * Removes the links that a killed broker left behind. Without correcting the index every such file would
 * be read again in full, to find that it is what it was.
 */
export async function sweepServeLinks(volume: Volume, index: FileIndex): Promise<void> {
  const left = new Map<string, string[]>()
  for (const name of await readdir(volume.serveDirectory)) {
    const file = join(volume.serveDirectory, name)
    const { dev, ino } = await lstat(file, { bigint: true })
    left.set(`${dev}:${ino}`, [...(left.get(`${dev}:${ino}`) ?? []), file])
  }
  if (left.size === 0) return
  for await (const entry of entriesOf(index, volume.prefix)) {
    const key = `${entry.fingerprint.dev}:${entry.fingerprint.ino}`
    const files = left.get(key)
    if (files === undefined || volume.segmentsOf(entry.path) === undefined) continue
    await using place = await volume.findPlace(entry.path, 'read')
    const before = await place?.stat()
    for (const file of files) await unlinkIfThere(file)
    left.delete(key)
    const after = await place?.stat()
    const wasTold =
      before !== undefined && sameFingerprint(entry.fingerprint, fingerprintOf(before))
    const put = wasTold && after !== undefined && touched(entry, fingerprintOf(after))
    if (put) await index.apply({ put: [put], changes: [] })
  }
  for (const file of [...left.values()].flat()) await unlinkIfThere(file)
}

/** All entries below a directory, page by page. */
export async function* entriesOf(index: FileIndex, directory: string): AsyncGenerator<IndexEntry> {
  let after = ''
  for (;;) {
    const page = await index.below(directory, after, 1000)
    yield* page
    const last = page.at(-1)
    if (last === undefined) return
    after = last.path
  }
}

/** The entry with a new `ctime`; undefined when more than that is different. */
export function touched(entry: IndexEntry, now: Fingerprint): IndexEntry | undefined {
  return sameContent(entry.fingerprint, now) ? { ...entry, fingerprint: now } : undefined
}
