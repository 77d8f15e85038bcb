import type { FilePath } from '../../protocol/file-path.ts'
import { type Fingerprint, sameFingerprint } from '../fingerprint.ts'

/** Files whose content on disk a validator refused and that was told: each content is refused once. */
export class RefusedContents {
  readonly #refused = new Map<FilePath, { fingerprint: Fingerprint; readonly sha256: string }>()

  /** True when the file is untouched since it was refused. */
  isUntouched(path: FilePath, fingerprint: Fingerprint): boolean {
    const refused = this.#refused.get(path)
    return refused !== undefined && sameFingerprint(refused.fingerprint, fingerprint)
  }

  /** @returns false when the same bytes were refused before */
  add(path: FilePath, fingerprint: Fingerprint, sha256: string): boolean {
    const isNew = this.#refused.get(path)?.sha256 !== sha256
    this.#refused.set(path, { fingerprint, sha256 })
    return isNew
  }

  delete(path: FilePath): void {
    this.#refused.delete(path)
  }
}
