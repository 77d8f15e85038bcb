import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { Fingerprint } from '../fingerprint.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { PathLocks } from '../path-locks.ts'
import { BatchReconciler, type Outcome } from './batch-reconciler.ts'
import { ChangeTeller, type ChangeTellerDeps } from './change-teller.ts'
import type { HashedContent } from './content-reader.ts'
import { Outstanding } from './outstanding.ts'
import { type PathHint, Settle, type Unsettled } from './settle.ts'
import { systemTimers, type Timers } from './watch-timers.ts'

export interface ReconcilerOptions {
  /** How long a file must be quiet before it is told. */
  readonly settleMs: number
  /** After which it is told although it is not quiet; 60 s. */
  readonly longestSettleMs?: number
  /** Files read at once; 4. */
  readonly hashesAtOnce?: number
}

export interface ReconcilerDeps extends ChangeTellerDeps {
  /** The same that uploads take. */
  readonly locks: PathLocks
  /** Called for a path of no file below which the index knows files: a directory that vanished. */
  readonly onDirectory?: (directory: string) => void
  readonly timers?: Timers
}

/** As many settled paths are looked at together, so that the two ends of a rename meet. */
const BATCH = 256

/** Paths taken and not yet dealt with: bounds memory, and keeps a large file from holding up others. */
const MAX_IN_FLIGHT = 2048

/** With more paths waiting, scans pause. */
const ENOUGH_PENDING = 10_000

/**
 * Turns hints into changes. A hint says where to look and nothing else: what is told is the difference
 * between disk and index, found under the lock that uploads take. So every difference is told once, whoever
 * made it and however often it was hinted at, and an upload, which the index knows, is not told again.
 */
export class Reconciler implements AsyncDisposable {
  readonly #deps: ReconcilerDeps
  readonly #teller: ChangeTeller
  readonly #settle: Settle
  readonly #reconcileBatch: BatchReconciler
  readonly #hinted = new Outstanding()
  readonly #running = new Set<Promise<void>>()
  #paused: (() => void)[] = []
  #inFlight = 0
  #isSorting = false
  #closing: Promise<void> | undefined

  constructor(options: ReconcilerOptions, deps: ReconcilerDeps) {
    this.#deps = deps
    this.#teller = new ChangeTeller(deps)
    this.#settle = new Settle({
      settleMs: options.settleMs,
      longestMs: options.longestSettleMs ?? 60_000,
      timers: deps.timers ?? systemTimers,
      onDue: () => this.#pump(),
    })
    this.#reconcileBatch = new BatchReconciler(options.hashesAtOnce ?? 4, {
      ...deps,
      teller: this.#teller,
      settle: this.#settle,
      finish: (entry, outcome) => this.#finish(entry, outcome),
      onUnsettled: (path, seen) => this.#unsettled(path, seen),
      onDirectory: deps.onDirectory ?? (() => {}),
    })
  }

  /** Paths that may differ and are not dealt with yet. */
  get pending(): number {
    return this.#settle.size + this.#inFlight
  }

  hint(hint: PathHint): void {
    if (this.#closing !== undefined) return
    this.#settle.push(hint, () => this.#hinted.begin())
  }

  /** Files that are not told because of a hard link of somebody else. */
  get leftOut(): number {
    return this.#teller.leftOut.size
  }

  /** Resolves when there is room for more hints; for whoever has many of them. */
  async accepts(): Promise<void> {
    while (this.pending >= ENOUGH_PENDING && this.#closing === undefined) {
      await new Promise<void>((resolve) => this.#paused.push(resolve))
    }
  }

  /**
   * Tells a difference at `path` at once, settled or not: an upload tells an edit on disk that nobody knows
   * of yet before it replaces it. The caller holds the lock of the path.
   */
  async reconcile(path: FilePath): Promise<void> {
    const finding = await this.#teller.find(path)
    if (finding.state === 'gone') return this.#teller.tellGone(finding.known, 'disk')
    if (finding.state !== 'arrived') return
    const content = await this.#deps.content.hash(path)
    if (content === undefined) return
    const { known } = finding
    await using judgement = await this.#judge(path, content, known)
    if (judgement === undefined) return
    await this.#teller.tellContent(path, content, known, judgement, 'disk')
  }

  /** What was refused is judged again when it is hinted at. */
  rejudge(): void {
    this.#teller.rejudge()
  }

  /**
   * Resolves when all that was hinted at until now is told.
   *
   * @throws {BrokerError} `UNAVAILABLE` when it is closed meanwhile
   */
  idle(): Promise<void> {
    return this.#hinted.drained()
  }

  /** Finishes what is being told. What still settles is found again at the next start. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Where nothing can judge what is on disk, it is no reason to refuse what is to replace it. */
  async #judge(path: FilePath, content: HashedContent, known: IndexEntry | undefined) {
    try {
      return await this.#teller.judge(path, content, known)
    } catch (err) {
      if (!(err instanceof BrokerError)) throw err
      this.#deps.log.error({ event: 'files.reconcile', path, err }, 'a path could not be told')
      return undefined
    }
  }

  async #close(): Promise<void> {
    this.#settle[Symbol.dispose]()
    this.#resume()
    await Promise.all(this.#running)
    this.#hinted.fail(new BrokerError('UNAVAILABLE', 'the broker is stopping'))
  }

  #pump(): void {
    if (this.#isSorting || this.#inFlight >= MAX_IN_FLIGHT) return
    const batch = this.#settle.takeDue(BATCH)
    if (batch.length === 0) return
    this.#inFlight += batch.length
    this.#isSorting = true
    const onSorted = () => {
      this.#isSorting = false
      // In a turn of its own: where the file system answers at once, a flood would hold up the loop.
      setImmediate(() => this.#pump())
    }
    const run = this.#reconcileBatch.run(batch, onSorted).finally(() => this.#running.delete(run))
    this.#running.add(run)
  }

  #finish(entry: Unsettled, outcome: Outcome): void {
    this.#inFlight -= 1
    if (outcome === 'done') for (const ticket of entry.tickets) this.#hinted.end(ticket)
    else this.#settle.again(entry, outcome.again)
    this.#pump()
    if (this.pending < ENOUGH_PENDING) this.#resume()
  }

  #resume(): void {
    const paused = this.#paused
    this.#paused = []
    for (const resolve of paused) resolve()
  }

  #unsettled(path: FilePath, seen: Fingerprint): void {
    this.#deps.log.warn({ event: 'files.unsettled', path }, 'told a file that is still written to')
    this.hint({ path, origin: 'disk', isEvent: true, seen })
  }
}
