import { createHash } from 'node:crypto'
import type { FilePath } from '../../protocol/file-path.ts'
import { contentChange, moveChanges } from '../content-change.ts'
import type { ContentValidator } from '../content-validator.ts'
import type { ContentFault, FileChange } from '../file-change.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'
import type { FileIndex, IndexEntry } from '../index/file-index.ts'
import type { ContentReader, FileLook, HashedContent } from './content-reader.ts'
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
      if (known === undefined) this.#refused.delete(path)
      return known === undefined ? { state: 'nothing' } : { state: 'gone', known }
    }
    const isSame = known !== undefined && sameFingerprint(known.fingerprint, fingerprint)
    if (isSame || this.#refused.isUntouched(path, fingerprint)) return { state: 'same' }
    return { state: 'arrived', fingerprint, known }
  }

  /** What validators say against a content that the index does not know; nothing when it is accepted. */
  async faultsOf(
    path: FilePath,
    content: HashedContent,
    known: IndexEntry | undefined,
  ): Promise<readonly ContentFault[]> {
    if (known?.sha256 === content.sha256) return []
    const { sha256, before } = content
    const received = {
      size: before.size,
      sha256,
      file: undefined,
      bytes: () => this.#bytes(path, sha256),
    }
    for (const validator of this.#deps.validators) {
      if (!validator.matches(path)) continue
      // Whoever edits the file itself has no header to confirm with.
      const faults = await validator.validate(received, { path, confirmShrink: true })
      if (faults.length > 0) return faults
    }
    return []
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
    this.#refused.delete(known.path)
  }

  /** @param faults - of `faultsOf`: with any of them the content is refused and the index stays */
  async tellContent(
    path: FilePath,
    content: HashedContent,
    known: IndexEntry | undefined,
    faults: readonly ContentFault[],
    origin: HintOrigin,
  ): Promise<void> {
    if (!(await this.#deps.isOnline())) return
    const entry: IndexEntry = { path, fingerprint: content.before, sha256: content.sha256 }
    if (faults.length > 0) return this.#tellRefused(entry, faults, origin)
    this.#refused.delete(path)
    const type = known === undefined ? 'FILE CREATED' : 'FILE UPDATED'
    const changes =
      known?.sha256 === entry.sha256 ? [] : told(origin, (of) => [contentChange(type, entry, of)])
    await this.#deps.index.apply({ put: [entry], changes })
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
    await this.#deps.index.apply({ put: [arrived], remove: [gone.path], changes })
  }

  async #tellRefused(
    entry: IndexEntry,
    errors: readonly ContentFault[],
    origin: HintOrigin,
  ): Promise<void> {
    const { index, log } = this.#deps
    if (!this.#refused.add(entry.path, entry.fingerprint, entry.sha256)) return
    log.warn({ event: 'files.rejected', path: entry.path, errors }, 'content on disk was refused')
    const changes = told(origin, (of) => [contentChange('FILE REJECTED', entry, of, { errors })])
    if (changes.length > 0) await index.apply({ changes })
  }

  async #bytes(path: FilePath, sha256: string): Promise<Buffer> {
    const bytes = await this.#deps.content.bytes(path)
    const actual = createHash('sha256').update(bytes).digest('hex')
    // What is judged must be what is told.
    if (actual !== sha256) throw new Error('the file changed while it was validated')
    return bytes
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
