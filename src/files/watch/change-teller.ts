import type { FilePath } from '../../protocol/file-path.ts'
import { contentChange, moveChanges } from '../content-change.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { ContentFault, FileChange } from '../file-change.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex } from '../index/file-index.ts'
import type { IndexEntry } from '../index/index-entry.ts'
import type { ContentCopy, ContentReader, FileLook, HashedContent } from './content-reader.ts'
import { inodeKey } from './move-pairs.ts'
import { RefusedContents } from './refused-contents.ts'
import type { HintOrigin } from './settle.ts'
import type { WatchLog } from './watch-log.ts'

/** How disk and index differ at one path. */
export type Finding =
  | { readonly state: 'same' }
  /** Neither knows a file here. */
  | { readonly state: 'nothing' }
  | { readonly state: 'gone'; readonly known: IndexEntry }
  | {
      readonly state: 'arrived'
      readonly fingerprint: Fingerprint
      readonly known: IndexEntry | undefined
    }

export type GoneFinding = Extract<Finding, { state: 'gone' }>
export type ArrivedFinding = Extract<Finding, { state: 'arrived' }>

export interface ChangeTellerDeps {
  readonly index: FileIndex
  readonly content: ContentReader
  readonly validators: readonly ContentValidator[]
  /** False while the volume's own directory is not there: nothing on disk means anything then. */
  readonly isOnline: () => Promise<boolean>
  readonly log: WatchLog
}

/** What was said about a content. Disposing of it discards the copy that was judged. */
export interface Judgement extends AsyncDisposable {
  /** None when it is accepted. */
  readonly faults: readonly ContentFault[]
  /** Undefined where nobody judges. */
  readonly copy: ContentCopy | undefined
}

/**
 * Finds the difference at one path and commits it to the index together with the change that tells it.
 * The `tell` methods ask that the caller holds the lock of every path that they name.
 */
export class ChangeTeller {
  readonly #deps: ChangeTellerDeps
  readonly #refused = new RefusedContents()
  readonly #leftOut = new Set<FilePath>()

  constructor(deps: ChangeTellerDeps) {
    this.#deps = deps
  }

  /** Files that are not told because of a hard link of somebody else. */
  get leftOut(): ReadonlySet<FilePath> {
    return this.#leftOut
  }

  async find(path: FilePath): Promise<Finding> {
    const { index, content } = this.#deps
    const seen = await content.look(path)
    const known = await index.get(path)
    const fingerprint = isOurs(seen, known) ? seen?.fingerprint : undefined
    if (seen === undefined || fingerprint !== undefined) this.#leftOut.delete(path)
    else this.#leftOut.add(path)
    if (fingerprint === undefined) {
      if (known === undefined && this.#refused.delete(path)) {
        await index.apply({ pardon: [path], changes: [] })
      }
      return known === undefined ? { state: 'nothing' } : { state: 'gone', known }
    }
    const isSame = known !== undefined && sameFingerprint(known.fingerprint, fingerprint)
    if (isSame || this.#refused.isUntouched(path, fingerprint)) return { state: 'same' }
    return { state: 'arrived', fingerprint, known }
  }

  /**
   * Asks the validators about a content that was found on disk.
   *
   * @returns undefined when it is there no more
   * @throws {BrokerError} `UNAVAILABLE` when there is no judgement
   */
  async judge(
    path: FilePath,
    content: HashedContent,
    known: IndexEntry | undefined,
  ): Promise<Judgement | undefined> {
    if (!this.isValidated(path)) return judgement([], undefined)
    await using cleanup = new AsyncDisposableStack()
    const copy = await this.#deps.content.copy(path)
    cleanup.use(copy)
    // What is judged must be what is told.
    if (copy?.sha256 !== content.sha256) return undefined
    const faults = known?.sha256 === copy.sha256 ? [] : await this.#faultsOf(path, copy)
    cleanup.move()
    return judgement(faults, copy)
  }

  /** What was refused is judged again when it is looked at: the validators have changed. */
  rejudge(): void {
    this.#refused.clear()
  }

  isValidated(path: FilePath): boolean {
    return this.#deps.validators.some((validator) => validator.matches(path))
  }

  async tellGone(known: IndexEntry, origin: HintOrigin): Promise<void> {
    const { content, index } = this.#deps
    if (!(await this.#deps.isOnline())) return
    // Looked at once more: what was missing because of an unmount is back when the volume is.
    if (isOurs(await content.look(known.path), known)) return
    const changes = told(origin, (of) => [contentChange('FILE DELETED', known, of)])
    await index.apply({ remove: [known.path], changes })
    await content.retain(known.path, undefined)
    this.#refused.delete(known.path)
  }

  /** @param judgement - of this content: with any fault it is refused and the index stays */
  async tellContent(
    path: FilePath,
    content: HashedContent,
    known: IndexEntry | undefined,
    { faults, copy }: Judgement,
    origin: HintOrigin,
  ): Promise<void> {
    if (!(await this.#deps.isOnline())) return
    // A touch leaves the content whose it was.
    const uploader = known?.sha256 === content.sha256 ? known.uploader : undefined
    const { sha256, before } = content
    const entry: IndexEntry = { path, fingerprint: before, sha256, uploader }
    if (faults.length > 0) return this.#tellRefused(entry, known, faults, origin)
    const wasRefused = this.#refused.delete(path)
    const type = known === undefined ? 'FILE CREATED' : 'FILE UPDATED'
    const changes =
      known?.sha256 === entry.sha256 ? [] : told(origin, (of) => [contentChange(type, entry, of)])
    // Before the index knows it: what it knows can then always be served.
    await copy?.keep()
    await this.#deps.index.apply({ put: [entry], changes })
    if (copy !== undefined) await this.#deps.content.retain(path, entry.sha256)
    // Of the content that was good before, no event tells that it is there again.
    if (wasRefused && changes.length === 0) {
      this.#deps.log.info(
        { event: 'files.accepted', path },
        'content on disk is the good one again',
      )
    }
  }

  async tellMove(
    gone: IndexEntry,
    arrived: IndexEntry,
    replaced: IndexEntry | undefined,
    origin: HintOrigin,
  ): Promise<void> {
    if (!(await this.#deps.isOnline())) return
    this.#refused.delete(gone.path)
    this.#refused.delete(arrived.path)
    const changes = told(origin, (of) => moveChanges(gone, arrived, replaced, of))
    const put = [{ ...arrived, uploader: gone.uploader }]
    await this.#deps.index.apply({ put, remove: [gone.path], changes })
    await this.#deps.content.retain(gone.path, undefined)
  }

  async #tellRefused(
    entry: IndexEntry,
    known: IndexEntry | undefined,
    errors: readonly ContentFault[],
    origin: HintOrigin,
  ): Promise<void> {
    const { index, log } = this.#deps
    const { path, fingerprint, sha256 } = entry
    this.#refused.add(path, fingerprint)
    if ((await index.refusalOf(path)) === sha256) return
    const rest = known === undefined ? '' : '; the last good one is in force'
    log.warn({ event: 'files.rejected', path, errors }, `content on disk was refused${rest}`)
    const changes = told(origin, (of) => [contentChange('FILE REJECTED', entry, of, { errors })])
    await index.apply({ refuse: [{ path, sha256 }], changes })
  }

  async #faultsOf(path: FilePath, copy: ContentCopy): Promise<readonly ContentFault[]> {
    for (const validator of this.#deps.validators) {
      if (!validator.matches(path)) continue
      // Whoever edits the file itself has no header to confirm with.
      const faults = await validator.validate(copy, { path, confirmShrink: true })
      if (faults.length > 0) return faults
    }
    return []
  }
}

/**
 * True for a file that may be told. One with a foreign hard link could show what is outside of the volume,
 * so it is only ours when the link was made to a file that the index knew at this path.
 */
function isOurs(seen: FileLook | undefined, known: IndexEntry | undefined): boolean {
  if (seen === undefined) return false
  if (!seen.isShared) return true
  return known !== undefined && inodeKey(known.fingerprint) === inodeKey(seen.fingerprint)
}

function told(
  origin: HintOrigin,
  changes: (origin: 'disk' | 'offline') => readonly FileChange[],
): readonly FileChange[] {
  return origin === 'silent' ? [] : changes(origin)
}

function judgement(faults: readonly ContentFault[], copy: ContentCopy | undefined): Judgement {
  return {
    faults,
    copy,
    [Symbol.asyncDispose]: async () => await copy?.[Symbol.asyncDispose](),
  }
}
