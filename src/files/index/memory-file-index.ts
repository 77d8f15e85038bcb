import type { FilePath } from '../../protocol/file-path.ts'
import { MemoryVersionRecords } from '../history/memory-version-records.ts'
import { comparePaths } from '../path-order.ts'
import {
  FINDABLE_BYTES,
  type FileIndex,
  type IndexMutation,
  type TellChanges,
  type UploadIntent,
} from './file-index.ts'
import type { IndexEntry } from './index-entry.ts'
import { differences, type EntryChanges, UsageSums } from './usage-sums.ts'

/** Forgets everything with the process: for tests and for brokers that keep nothing. */
export class MemoryFileIndex implements FileIndex {
  readonly usage = new UsageSums()
  readonly versions = new MemoryVersionRecords()
  readonly #tell: TellChanges<never>
  readonly #entries = new Map<FilePath, IndexEntry>()
  readonly #refusals = new Map<FilePath, string>()
  readonly #intents = new Map<string, UploadIntent>()
  /** All paths in order; undefined when one came or went since. */
  #sorted: readonly FilePath[] | undefined

  constructor(tell: TellChanges<never>) {
    this.#tell = tell
  }

  get(path: FilePath): Promise<IndexEntry | undefined> {
    return Promise.resolve(this.#entries.get(path))
  }

  below(directory: string, after: string, limit: number): Promise<readonly IndexEntry[]> {
    this.#sorted ??= [...this.#entries.keys()].sort(comparePaths)
    const prefix = directory === '' ? '' : `${directory}/`
    const found: IndexEntry[] = []
    for (const path of this.#sorted) {
      if (found.length >= limit) break
      const entry = this.#entries.get(path)
      const isBelow = path.startsWith(prefix) && comparePaths(path, after) > 0
      if (entry !== undefined && isBelow) found.push(entry)
    }
    return Promise.resolve(found)
  }

  refusalOf(path: FilePath): Promise<string | undefined> {
    return Promise.resolve(this.#refusals.get(path))
  }

  withContent(sha256: string, limit: number): Promise<readonly FilePath[]> {
    const found = [...this.#entries.values()].filter(
      (entry) => entry.sha256 === sha256 && entry.fingerprint.size >= FINDABLE_BYTES,
    )
    const paths = found.map(({ path }) => path).sort(comparePaths)
    return Promise.resolve(paths.slice(0, limit))
  }

  async apply(mutation: IndexMutation): Promise<readonly string[]> {
    const { put = [], remove = [], fulfil = [], refuse = [], pardon = [], changes } = mutation
    const { keep = [], drop = [] } = mutation
    const positions = changes.length === 0 ? [] : await this.#tell(changes, [])
    this.usage.add(differences(this.#changes(remove, put)))
    for (const path of remove) {
      if (this.#entries.delete(path)) this.#sorted = undefined
    }
    for (const entry of put) {
      if (!this.#entries.has(entry.path)) this.#sorted = undefined
      this.#entries.set(entry.path, entry)
    }
    const settled = [...remove, ...put.map(({ path }) => path), ...pardon]
    for (const path of settled) this.#refusals.delete(path)
    for (const { path, sha256 } of refuse) this.#refusals.set(path, sha256)
    for (const id of fulfil) this.#intents.delete(id)
    for (const id of drop) this.versions.drop(id)
    for (const version of keep) this.versions.keep(version)
    return positions
  }

  intend(intent: UploadIntent): Promise<void> {
    this.#intents.set(intent.id, intent)
    return Promise.resolve()
  }

  openIntents(): Promise<readonly UploadIntent[]> {
    return Promise.resolve([...this.#intents.values()])
  }

  #changes(remove: readonly FilePath[], put: readonly IndexEntry[]): EntryChanges {
    const after = new Map<FilePath, IndexEntry | undefined>(remove.map((path) => [path, undefined]))
    for (const entry of put) after.set(entry.path, entry)
    return new Map([...after].map(([path, entry]) => [path, [this.#entries.get(path), entry]]))
  }
}
