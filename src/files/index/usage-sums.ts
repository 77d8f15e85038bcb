import type { FilePath } from '../../protocol/file-path.ts'
import type { FileUsage } from './file-index.ts'
import type { IndexEntry } from './index-entry.ts'

/** What entries were and what they are; undefined where there is none. */
export type EntryChanges = ReadonlyMap<
  FilePath,
  readonly [before: IndexEntry | undefined, after: IndexEntry | undefined]
>

const TOTAL = 'total'

/** Sums that are kept while entries come and go, so that nobody has to add them up. */
export class UsageSums implements FileUsage {
  /** By `total` or `user:<uploader>`. */
  readonly #bytes: Map<string, number>

  /** @param bytes - by key, as `differences` gives them; nothing for an index without entries */
  constructor(bytes: Iterable<readonly [key: string, bytes: number]> = []) {
    this.#bytes = new Map(bytes)
  }

  get totalBytes(): number {
    return this.#bytes.get(TOTAL) ?? 0
  }

  bytesOf(uploader: string): number {
    return this.#bytes.get(keyOf(uploader)) ?? 0
  }

  add(differences: ReadonlyMap<string, number>): void {
    for (const [key, bytes] of differences)
      this.#bytes.set(key, (this.#bytes.get(key) ?? 0) + bytes)
  }
}

/** By how many bytes each sum changes; those that stay are left out. */
export function differences(changes: EntryChanges): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  const add = (entry: IndexEntry | undefined, sign: 1 | -1) => {
    if (entry === undefined) return
    const { uploader, fingerprint } = entry
    for (const key of uploader === undefined ? [TOTAL] : [TOTAL, keyOf(uploader)]) {
      sums.set(key, (sums.get(key) ?? 0) + sign * fingerprint.size)
    }
  }
  for (const [before, after] of changes.values()) {
    add(before, -1)
    add(after, 1)
  }
  return new Map([...sums].filter(([, bytes]) => bytes !== 0))
}

function keyOf(uploader: string): string {
  return `user:${uploader}`
}
