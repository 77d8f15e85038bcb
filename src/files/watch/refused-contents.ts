import type { FilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'

/** Files whose content on disk was refused: none is judged again before it is touched, or at the next start. */
export class RefusedContents {
  readonly #refused = new Map<FilePath, Fingerprint>()

  /** True when the file is untouched since it was refused. */
  isUntouched(path: FilePath, fingerprint: Fingerprint): boolean {
    const refused = this.#refused.get(path)
    return refused !== undefined && sameFingerprint(refused, fingerprint)
  }

  add(path: FilePath, fingerprint: Fingerprint): void {
    this.#refused.set(path, fingerprint)
  }

  /** @returns whether it was there */
  delete(path: FilePath): boolean {
    return this.#refused.delete(path)
  }

  /** All are judged again when they are looked at. */
  clear(): void {
    this.#refused.clear()
  }
}
