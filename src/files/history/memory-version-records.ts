import type { FilePath } from '../../protocol/file-path.ts'
import { comparePaths } from '../path-order.ts'
import type { FileVersion, VersionRecords, VersionUsage } from './version-records.ts'

/** Forgets everything with the process. */
export class MemoryVersionRecords implements VersionRecords {
  readonly #versions = new Map<string, FileVersion>()

  keep(version: FileVersion): void {
    this.#versions.set(version.id, version)
  }

  drop(id: string): void {
    this.#versions.delete(id)
  }

  of(path: FilePath): Promise<readonly FileVersion[]> {
    const found = [...this.#versions.values()].filter((version) => version.path === path)
    return Promise.resolve(found.sort((a, b) => b.replacedMs - a.replacedMs))
  }

  async below(directory: string, after: string, paths: number): Promise<readonly FileVersion[]> {
    const prefix = directory === '' ? '' : `${directory}/`
    const known = new Set([...this.#versions.values()].map(({ path }) => path))
    const due = [...known]
      .filter((path) => path.startsWith(prefix) && comparePaths(path, after) > 0)
      .sort(comparePaths)
      .slice(0, paths)
    return (await Promise.all(due.map((path) => this.of(path)))).flat()
  }

  usage(): Promise<VersionUsage> {
    const sizes = [...this.#versions.values()].map(({ fingerprint }) => fingerprint.size)
    return Promise.resolve({
      count: sizes.length,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
    })
  }
}
