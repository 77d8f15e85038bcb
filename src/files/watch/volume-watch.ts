import { join } from 'node:path'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { LastingWatcher, type StartWatch } from './lasting-watcher.ts'
import { Reconciler, type ReconcilerDeps, type ReconcilerOptions } from './reconciler.ts'
import { type ScanIntervals, scanIntervalMs } from './scan-interval.ts'
import type { HintOrigin } from './settle.ts'
import { diffTree } from './tree-diff.ts'
import { HIDDEN_NAMES } from './tree-names.ts'
import { TreeRescans } from './tree-rescans.ts'
import type { ScanCounts } from './tree-scan.ts'
import type { WatchCoverage, WatchHint } from './watch-messages.ts'
import type { LastScan, WatchState, WatchStatus } from './watch-status.ts'
import { systemTimers, type Timers } from './watch-timers.ts'

export interface VolumeWatchOptions extends ReconcilerOptions, ScanIntervals {
  /** Of the volume on disk; a symbolic link to it is followed. */
  readonly directory: string
  /** Cookies are made in a directory of their own here. */
  readonly stateDirectory: string
  /** First segment of the paths of the volume; `''` for the default one. */
  readonly prefix: string
  /** Prefixes of other volumes, which hide a directory of that name in this one. */
  readonly excluded?: readonly string[]
  readonly hidden?: RegExp
  /** The first index of a volume: what is there is recorded and not told. */
  readonly isFirst: boolean
  /** As many directories are watched, to leave the rest to other programs; no limit when left out. */
  readonly maxWatches?: number
}

export interface VolumeWatchDeps extends Omit<ReconcilerDeps, 'onDirectory'> {
  readonly startWatch?: StartWatch
}

/** How often an offline volume is looked for. */
const OFFLINE_INTERVAL_MS = 2000

/**
 * Keeps the index of one volume true to its disk: watches it, walks it where watching does not suffice,
 * and has every difference told once.
 */
export class VolumeWatch implements AsyncDisposable {
  readonly #options: VolumeWatchOptions
  readonly #deps: VolumeWatchDeps
  readonly #timers: Timers
  readonly #reconciler: Reconciler
  readonly #rescans: TreeRescans
  readonly #watcher: LastingWatcher
  #state: WatchState = 'starting'
  #coverage: WatchCoverage = { watched: 0, unwatched: 0 }
  #losses = 0
  #lastScan: LastScan | undefined
  /** How the next walk of everything tells what it finds. */
  #origin: HintOrigin
  #isFresh = false
  #timer: Disposable | undefined
  #closing: Promise<void> | undefined
  readonly #ready = Promise.withResolvers<void>()

  constructor(options: VolumeWatchOptions, deps: VolumeWatchDeps) {
    this.#options = options
    this.#deps = deps
    this.#timers = deps.timers ?? systemTimers
    this.#origin = options.isFirst ? 'silent' : 'offline'
    this.#rescans = new TreeRescans(options.prefix, (directory) => this.#rescan(directory))
    this.#reconciler = new Reconciler(options, {
      ...deps,
      isOnline: () => this.#isOnline(),
      onDirectory: (directory) => void this.#rescans.request(directory),
    })
    this.#watcher = new LastingWatcher(
      {
        root: options.directory,
        cookies: join(options.stateDirectory, 'cookies'),
        prefix: options.prefix,
        excluded: options.excluded ?? [],
        hidden: options.hidden ?? HIDDEN_NAMES,
        ...(options.maxWatches !== undefined && { maxWatches: options.maxWatches }),
      },
      {
        onHints: (hints) => this.#onHints(hints),
        onCoverage: (coverage) => this.#onCoverage(coverage),
        onTrouble: (err) => deps.log.warn({ event: 'files.watch', err }, 'a watch failed'),
        onLost: (err) => this.#onLost(err),
        onRestarted: () => this.#scanLater(0),
      },
      this.#timers,
      deps.startWatch,
    )
  }

  /**
   * Resolves when the volume is watched and all that had changed before is told (of a first index:
   * recorded). An offline volume is waited for; a scan that fails is tried again.
   *
   * @throws {BrokerError} `UNAVAILABLE` when it is closed meanwhile
   */
  async start(): Promise<void> {
    this.#watcher.start()
    this.#scanLater(0)
    await this.#ready.promise
    await this.#reconciler.idle()
  }

  /**
   * Tells a difference at `path` at once, settled or not. The caller holds the lock of the path.
   *
   * @see Reconciler.reconcile
   */
  reconcile(path: FilePath): Promise<void> {
    return this.#reconciler.reconcile(path)
  }

  /**
   * Resolves when every change made on disk before this call is told, those that must settle first
   * included. What was written through another hard link of a file is no event; `rescan` finds it.
   *
   * @throws {BrokerError} `UNAVAILABLE` when the volume is offline or the broker is stopping
   */
  async sync(): Promise<void> {
    // That the other name of a file that is left out is gone is no event either.
    const isEnough = this.#state === 'watching' && this.#reconciler.leftOut === 0
    if (!isEnough || !(await this.#watcher.passesCookie())) {
      await this.#rescans.request(this.#options.prefix)
    }
    await this.#tellAll()
  }

  /**
   * The same after a walk of everything, which does not rely on events.
   *
   * @param rejudges - what was refused, too: the validators have changed
   */
  async rescan({ rejudges = false } = {}): Promise<void> {
    if (rejudges) this.#reconciler.rejudge()
    await this.#rescans.request(this.#options.prefix)
    await this.#tellAll()
  }

  get status(): WatchStatus {
    const { reason } = this.#coverage
    return {
      state: this.#state,
      ...(reason !== undefined && { reason }),
      coverage: this.#coverage,
      pending: this.#reconciler.pending,
      leftOut: this.#reconciler.leftOut,
      rescans: this.#losses,
      ...(this.#lastScan !== undefined && { lastScan: this.#lastScan }),
    }
  }

  /** Finishes what is being told; what is not told yet is found again at the next start. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#state = 'closed'
    this.#timer?.[Symbol.dispose]()
    this.#ready.promise.catch(() => {})
    this.#ready.reject(new BrokerError('UNAVAILABLE', 'the broker is stopping'))
    await this.#reconciler.close()
    await this.#watcher.close()
    await this.#rescans.close()
  }

  async #tellAll(): Promise<void> {
    // What is dealt with can turn out to have been a directory, which is then walked.
    for (let round = 0; round < 2; round += 1) {
      await this.#rescans.drained()
      await this.#reconciler.idle()
    }
    if (this.#closing !== undefined) throw new BrokerError('UNAVAILABLE', 'the broker is stopping')
    if (this.#state === 'offline') throw new BrokerError('UNAVAILABLE', 'the volume is offline')
  }

  /** Walks one directory and compares. What it finds, events included, is hinted at when it resolves. */
  async #rescan(directory: string): Promise<void> {
    try {
      if (!(await this.#isOnline())) throw new BrokerError('UNAVAILABLE', 'the volume is offline')
      if (directory === this.#options.prefix) await this.#rescanAll()
      else await this.#compare(directory, 'disk')
    } catch (err) {
      const isExpected = this.#state === 'closed' || this.#state === 'offline'
      if (!isExpected) this.#deps.log.error({ event: 'files.scan', err }, 'a scan failed')
      throw err
    }
  }

  async #rescanAll(): Promise<void> {
    const { prefix } = this.#options
    // Before it is watched: what is different now changed while nobody looked.
    if (this.#origin !== 'disk') await this.#compare(prefix, this.#origin)
    this.#origin = 'disk'
    await this.#watcher.cover(this.#isFresh)
    this.#isFresh = false
    const beganMs = this.#timers.now()
    const counts = await this.#compare(prefix, 'disk')
    this.#lastScan = { ...counts, durationMs: this.#timers.now() - beganMs }
    if (this.#state !== 'closed') this.#state = this.#watchedState
    this.#ready.resolve()
  }

  #compare(directory: string, origin: HintOrigin): Promise<ScanCounts> {
    const { prefix, excluded = [] } = this.#options
    return diffTree(directory, this.#watcher.scan(directory), {
      index: this.#deps.index,
      owns: (path) => (prefix === '' ? !excluded.includes(firstSegment(path)) : true),
      hint: (path, seen) => this.#reconciler.hint({ path, origin, isEvent: false, seen }),
      accepts: () => this.#reconciler.accepts(),
    })
  }

  #onHints(hints: readonly WatchHint[]): void {
    for (const hint of hints) {
      if (hint.kind === 'path') {
        const { path, seen } = hint
        this.#reconciler.hint({ path, origin: 'disk', isEvent: true, seen })
      } else if (hint.kind === 'directory') void this.#rescans.request(hint.path)
      else this.#onEventsLost(hint.reason)
    }
  }

  #onEventsLost(reason: string): void {
    this.#losses += 1
    this.#deps.log.warn({ event: 'files.rescan', reason }, 'events were lost, all is looked at')
    void this.#rescans.request(this.#options.prefix)
  }

  #onCoverage(coverage: WatchCoverage): void {
    const { unwatched, reason } = coverage
    const wasWatched = this.#coverage.unwatched === 0
    this.#coverage = coverage
    if (this.#state === 'watching' || this.#state === 'degraded') this.#state = this.#watchedState
    if (!wasWatched || unwatched === 0) return
    this.#deps.log.error(
      { event: 'files.degraded', unwatched, reason },
      'not every directory can be watched, scans find what changes there',
    )
    this.#scanLater(this.#intervalMs)
  }

  #onLost(err: Error): void {
    this.#deps.log.error({ event: 'files.watch', err }, 'the watch thread ended, it is restarted')
    this.#onCoverage({ watched: 0, unwatched: this.#coverage.watched, reason: 'restart' })
  }

  async #isOnline(): Promise<boolean> {
    const isOnline = await this.#deps.isOnline().catch((err: unknown) => {
      this.#deps.log.error({ event: 'files.offline', err }, 'the volume cannot be looked at')
      return false
    })
    if (!isOnline && this.#state !== 'offline' && this.#state !== 'closed') {
      this.#deps.log.error({ event: 'files.offline' }, 'the volume is offline, nothing is told')
      this.#state = 'offline'
      // An unmount ends every watch.
      this.#isFresh = true
      this.#scanLater(OFFLINE_INTERVAL_MS)
    }
    return isOnline
  }

  #scanLater(delayMs: number): void {
    this.#timer?.[Symbol.dispose]()
    if (this.#closing !== undefined) return
    this.#timer = this.#timers.after(delayMs, async () => {
      // Who failed has said so.
      await this.#rescans.request(this.#options.prefix).catch(() => {})
      this.#scanLater(this.#intervalMs)
    })
  }

  get #watchedState(): 'watching' | 'degraded' {
    return this.#coverage.unwatched === 0 ? 'watching' : 'degraded'
  }

  get #intervalMs(): number {
    if (this.#state === 'offline') return OFFLINE_INTERVAL_MS
    const lastDurationMs = this.#lastScan?.durationMs ?? 0
    return scanIntervalMs(this.#state === 'watching', lastDurationMs, this.#options)
  }
}

function firstSegment(path: FilePath): string {
  return path.slice(0, `${path}/`.indexOf('/'))
}
