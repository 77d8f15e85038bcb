import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import type { FileChange } from '../../src/files/file-change.ts'
import type { IndexEntry } from '../../src/files/index/index-entry.ts'
import { MemoryFileIndex } from '../../src/files/index/memory-file-index.ts'
import { PathLocks } from '../../src/files/path-locks.ts'
import { DiskFileStore } from '../../src/files/store/disk-file-store.ts'
import { ContentHasher } from '../../src/files/uploads/content-hasher.ts'
import { Volume } from '../../src/files/volumes/volume.ts'
import { Volumes } from '../../src/files/volumes/volumes.ts'
import type { StartWatch } from '../../src/files/watch/lasting-watcher.ts'
import { VolumeContent } from '../../src/files/watch/volume-content.ts'
import { VolumeWatch, type VolumeWatchOptions } from '../../src/files/watch/volume-watch.ts'
import { serveWatch, type WatchServerDeps } from '../../src/files/watch/watch-server.ts'
import { systemTimers, type Timers } from '../../src/files/watch/watch-timers.ts'
import { MemoryTeller } from './support-index.ts'
import { RecordedLog } from './watch-log.ts'

export interface WatchedOptions extends Partial<VolumeWatchOptions> {
  readonly startWatch?: StartWatch
  readonly timers?: Timers
}

/** A volume on disk with its store, its index and, between `start` and `stop`, its watch. */
export class WatchedVolume implements AsyncDisposable {
  readonly base: string
  readonly root: string
  readonly volume: Volume
  readonly store: DiskFileStore
  readonly log = new RecordedLog()
  readonly index: MemoryFileIndex
  readonly #teller = new MemoryTeller()
  readonly #locks = new PathLocks()
  readonly #hasher = new ContentHasher(1)
  #watch: VolumeWatch | undefined

  private constructor(base: string, volume: Volume) {
    this.base = base
    this.root = volume.directory
    this.volume = volume
    this.index = new MemoryFileIndex(this.#teller.tell)
    this.store = new DiskFileStore({
      volumes: new Volumes([volume]),
      index: this.index,
      locks: this.#locks,
      hasher: this.#hasher,
      reconcile: async (path) => this.#watch?.reconcile(path),
    })
  }

  static async open(): Promise<WatchedVolume> {
    const base = await mkdtemp(join(tmpdir(), 'broker-'))
    const volume = await Volume.open({
      name: 'default',
      prefix: '',
      directory: join(base, 'files'),
      stateDirectory: join(base, 'state'),
    })
    return new WatchedVolume(base, volume)
  }

  get watch(): VolumeWatch {
    if (this.#watch === undefined) throw new Error('it is not watched')
    return this.#watch
  }

  /** Begins to watch; `start` of what it returns is for the caller. */
  prepare({ startWatch, timers, ...options }: WatchedOptions = {}): VolumeWatch {
    this.#watch = new VolumeWatch(
      {
        directory: this.root,
        stateDirectory: this.volume.stateDirectory,
        prefix: '',
        isFirst: false,
        settleMs: 10,
        ...options,
      },
      {
        index: this.index,
        locks: this.#locks,
        content: new VolumeContent(
          this.volume,
          this.#hasher,
          (dev, ino) => this.store.serveLinks.countOf(dev, ino),
          this.store.accepted,
        ),
        validators: [],
        isOnline: () => this.volume.isOnline(),
        log: this.log,
        ...(startWatch !== undefined && { startWatch }),
        ...(timers !== undefined && { timers }),
      },
    )
    return this.#watch
  }

  async start(options: WatchedOptions = {}): Promise<VolumeWatch> {
    const watch = this.prepare(options)
    await watch.start()
    return watch
  }

  async stop(): Promise<void> {
    await this.#watch?.close()
    this.#watch = undefined
  }

  /** What was told since the last time. */
  told(): readonly FileChange[] {
    return this.#teller.changes.splice(0)
  }

  /** The same in short and in the order of paths. */
  words(): readonly string[] {
    return this.told()
      .map(({ type, path }) => `${type.slice(5)} ${path}`)
      .toSorted()
  }

  entries(): Promise<readonly IndexEntry[]> {
    return this.index.below('', '', Number.POSITIVE_INFINITY)
  }

  /** Digest of every file that is told, by path, without a line of the code that is tested. */
  onDisk(): Map<string, { readonly sha256: string; readonly isShared: boolean }> {
    const found = new Map<string, { sha256: string; isShared: boolean }>()
    const walk = (directory: string, prefix: string) => {
      for (const name of readdirSync(directory)) {
        if (/^[.~]|\.(part|tmp)$/.test(name)) continue
        const file = join(directory, name)
        const stats = lstatSync(file)
        if (stats.isDirectory()) walk(file, `${prefix}${name}/`)
        if (!stats.isFile()) continue
        const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
        found.set(`${prefix}${name}`, { sha256, isShared: stats.nlink > 1 })
      }
    }
    walk(this.root, '')
    return found
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.store.close()
    await this.#hasher.close()
    await rm(this.base, { recursive: true, force: true })
  }
}

/** Serves the watcher on this thread, which a test may block, or whose watches it may make fail. */
export function watchHere(deps: WatchServerDeps = {}): StartWatch {
  return (settings) => {
    const { port1, port2 } = new MessageChannel()
    serveWatch(port2, settings, deps)
    return port1
  }
}

/** No wait is longer than this. */
export function impatientTimers(longestMs: number): Timers {
  return {
    now: () => systemTimers.now(),
    after: (delayMs, callback) => systemTimers.after(Math.min(delayMs, longestMs), callback),
  }
}
