import type { FilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { PathLocks } from '../path-locks.ts'
import { WorkSlots } from '../work-slots.ts'
import type { ArrivedFinding, ChangeTeller, Finding, GoneFinding } from './change-teller.ts'
import type { ContentReader, HashedContent } from './content-reader.ts'
import { inodeKey, type MovePairs, pairMoves } from './move-pairs.ts'
import type { Settle, Unsettled } from './settle.ts'
import type { WatchLog } from './watch-log.ts'

/** What became of a path: dealt with, or still moving, with what was there at the last look. */
export type Outcome = 'done' | { readonly again: Fingerprint | null }

export interface BatchReconcilerDeps {
  readonly index: FileIndex
  readonly content: ContentReader
  readonly locks: PathLocks
  readonly log: WatchLog
  readonly teller: ChangeTeller
  readonly settle: Settle
  /** Called once for every path of a batch. */
  readonly finish: (entry: Unsettled, outcome: Outcome) => void
  /** Called for a file that was told although it is still being written. */
  readonly onUnsettled: (path: FilePath, seen: Fingerprint) => void
  /** Called for a path of no file below which the index knows files: a directory that vanished. */
  readonly onDirectory: (directory: string) => void
}

interface Gone extends GoneFinding {
  readonly entry: Unsettled
}

interface Arrived extends ArrivedFinding {
  readonly entry: Unsettled
}

/** Looks and commits at once: enough for commits to share their fsync, and few open descriptors. */
const LOOKS_AT_ONCE = 64

/** With more paths vanished at once, nobody asks which of them were renamed. */
const MAX_VANISHED = 2048

/**
 * Deals with paths that have settled together. Contents are read before the lock is taken, so that no
 * upload waits for it; under the lock the path is looked at again, and what has moved meanwhile goes back
 * to settle.
 */
export class BatchReconciler {
  readonly #deps: BatchReconcilerDeps
  readonly #looks = new WorkSlots(LOOKS_AT_ONCE)
  readonly #hashes: WorkSlots

  constructor(hashesAtOnce: number, deps: BatchReconcilerDeps) {
    this.#deps = deps
    this.#hashes = new WorkSlots(hashesAtOnce)
  }

  /**
   * Resolves when every path of the batch is finished; never rejects.
   *
   * @param onSorted - called when it is known what is a rename. The next batch is to be taken only then:
   *   until it is taken, what waits can still be put next to its other end
   */
  async run(batch: readonly Unsettled[], onSorted: () => void): Promise<void> {
    const gone: Gone[] = []
    const arrived: Arrived[] = []
    const sort = async (entry: Unsettled): Promise<Outcome | undefined> => {
      const finding = await this.#find(entry.path)
      if (finding.state === 'nothing') await this.#checkDirectory(entry.path)
      if (finding.state === 'nothing' || finding.state === 'same') return 'done'
      const seen = finding.state === 'arrived' ? finding.fingerprint : null
      const isStill = isSame(entry.seen, seen) || this.#deps.settle.isOverdue(entry)
      if (!isStill) return { again: seen }
      if (finding.state === 'gone') gone.push({ ...finding, entry })
      else arrived.push({ ...finding, entry })
      return undefined
    }
    await Promise.all(batch.map((entry) => this.#attempt(entry, () => sort(entry))))
    const found = pairMoves(gone, arrived)
    const expected = this.#postponed(found.gone)
    const early = await this.#postponedArrivals(found.arrived)
    onSorted()
    await this.#tell({
      pairs: found.pairs,
      gone: found.gone.filter((from) => !expected.has(from)),
      arrived: found.arrived.filter((to) => !early.has(to)),
    })
  }

  async #tell({ pairs, gone, arrived }: MovePairs<Gone, Arrived>): Promise<void> {
    const tellGone = (from: Gone) => this.#attempt(from.entry, () => this.#tellGone(from))
    const tellArrived = (to: Arrived) => this.#attempt(to.entry, () => this.#tellArrived(to))
    const tellMove = async (from: Gone, to: Arrived) => {
      // Whatever is wrong with the pair, each end can be told alone.
      if (await this.#tellMove(from, to).catch(() => false)) {
        for (const { entry } of [from, to]) this.#deps.finish(entry, 'done')
      } else await Promise.all([tellGone(from), tellArrived(to)])
    }
    await Promise.all([
      ...pairs.map(([from, to]) => tellMove(from, to)),
      ...gone.map(tellGone),
      ...arrived.map(tellArrived),
    ])
  }

  /** Those whose inode is about to arrive elsewhere: both ends wait, to be told together. */
  #postponed(gone: readonly Gone[]): ReadonlySet<Gone> {
    const { settle, finish } = this.#deps
    const byInode = new Map(gone.map((from) => [inodeKey(from.known.fingerprint), from]))
    const expected = new Map<Gone, FilePath>()
    if (byInode.size === 0) return new Set()
    for (const { path, seen } of settle.waiting()) {
      const from = seen === null ? undefined : byInode.get(inodeKey(seen))
      if (from !== undefined && !settle.isOverdue(from.entry)) expected.set(from, path)
    }
    for (const [from, path] of expected) {
      // In this order: should a batch end between them, the first is postponed once more.
      finish(from.entry, { again: null })
      settle.delay(path)
    }
    return new Set(expected.keys())
  }

  /** Those whose inode is known by a path that has vanished and has not settled: the other end of a rename. */
  async #postponedArrivals(arrived: readonly Arrived[]): Promise<ReadonlySet<Arrived>> {
    const { settle, finish, index } = this.#deps
    const open = arrived.filter(({ entry }) => !settle.isOverdue(entry))
    const vanished = [...settle.waiting()].filter(({ seen }) => seen === null)
    if (open.length === 0 || vanished.length > MAX_VANISHED) return new Set()
    const byInode = new Map(open.map((to) => [inodeKey(to.fingerprint), to]))
    const early = new Set<Arrived>()
    const match = async (path: FilePath) => {
      const known = await this.#looks.run(() => index.get(path))
      const to = known === undefined ? undefined : byInode.get(inodeKey(known.fingerprint))
      if (to !== undefined) early.add(to)
    }
    // Where the index fails, they are told without saying where they came from.
    await Promise.allSettled(vanished.map(({ path }) => match(path)))
    for (const { entry, fingerprint } of early) finish(entry, { again: fingerprint })
    return early
  }

  async #tellGone({ entry, known }: Gone): Promise<Outcome> {
    const { locks, teller } = this.#deps
    return locks.hold(entry.path, async () => {
      const finding = await this.#find(entry.path)
      if (finding.state === 'arrived') return { again: finding.fingerprint }
      if (finding.state !== 'gone') return 'done'
      if (!isSameEntry(finding.known, known)) return { again: null }
      await this.#looks.run(() => teller.tellGone(known, entry.origin))
      return 'done'
    })
  }

  async #tellArrived({ entry, known }: Arrived): Promise<Outcome> {
    const { path, origin } = entry
    const { locks, teller, settle, onUnsettled } = this.#deps
    const content = await this.#hash(path)
    if (content === undefined) return { again: null }
    await using judgement = await teller.judge(path, content, known)
    if (judgement === undefined) return { again: null }
    return await locks.hold(path, async () => {
      const finding = await this.#find(path)
      if (finding.state === 'gone') return { again: null }
      if (finding.state !== 'arrived') return 'done'
      const isStill = sameFingerprint(content.before, finding.fingerprint)
      const isKnown = isSameEntry(finding.known, known)
      if (!isKnown || !(isStill || settle.isOverdue(entry))) return { again: finding.fingerprint }
      await this.#looks.run(() => teller.tellContent(path, content, known, judgement, origin))
      if (!isStill) onUnsettled(path, finding.fingerprint)
      return 'done'
    })
  }

  /** @returns false when it is no rename after all, or not any more */
  async #tellMove(from: Gone, to: Arrived): Promise<boolean> {
    const { locks, teller } = this.#deps
    if (teller.isValidated(to.entry.path)) return false
    const content = await this.#hash(to.entry.path)
    const { sha256 } = from.known
    if (content?.sha256 !== sha256 || to.known?.sha256 === sha256) return false
    return locks.holdAll([from.entry.path, to.entry.path], async () => {
      const gone = await this.#find(from.entry.path)
      const here = await this.#find(to.entry.path)
      if (gone.state !== 'gone' || here.state !== 'arrived') return false
      if (!isSameEntry(gone.known, from.known) || !isSameEntry(here.known, to.known)) return false
      if (!sameFingerprint(here.fingerprint, content.before)) return false
      const arrived = { path: to.entry.path, fingerprint: content.before, sha256 }
      const origin = to.entry.origin === 'disk' ? 'disk' : from.entry.origin
      await this.#looks.run(() => teller.tellMove(gone.known, arrived, here.known, origin))
      return true
    })
  }

  async #checkDirectory(path: FilePath): Promise<void> {
    const { index, onDirectory } = this.#deps
    const [below] = await index.below(path, '', 1)
    if (below !== undefined) onDirectory(path)
  }

  /** One path that cannot be read or told never stops the rest; it is found again by the next scan. */
  async #attempt(entry: Unsettled, work: () => Promise<Outcome | undefined>): Promise<void> {
    const { log, finish } = this.#deps
    try {
      const outcome = await work()
      if (outcome !== undefined) finish(entry, outcome)
    } catch (err) {
      log.error({ event: 'files.reconcile', path: entry.path, err }, 'a path could not be told')
      finish(entry, 'done')
    }
  }

  #find(path: FilePath): Promise<Finding> {
    return this.#looks.run(() => this.#deps.teller.find(path))
  }

  #hash(path: FilePath): Promise<HashedContent | undefined> {
    return this.#hashes.run(() => this.#deps.content.hash(path))
  }
}

function isSame(a: Fingerprint | null, b: Fingerprint | null): boolean {
  return a === null || b === null ? a === b : sameFingerprint(a, b)
}

function isSameEntry(a: IndexEntry | undefined, b: IndexEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.sha256 === b.sha256 && sameFingerprint(a.fingerprint, b.fingerprint)
}
