import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'

/** Names that are neither served nor told, so that rsync, scp and editors may work in a volume. */
export const HIDDEN_NAMES = /^[.~]|\.(?:part|tmp)$/

/** Which names of a tree on disk are told, and under which path. Survives being sent to a thread. */
export interface TreeNameRules {
  /** First segment of every path of the volume; `''` for the default one. */
  readonly prefix: string
  /** Names directly in the root that are not this volume's: prefixes of other volumes. */
  readonly excluded: readonly string[]
  readonly hidden: RegExp
}

export class TreeNames {
  readonly prefix: string
  readonly #excluded: ReadonlySet<string>
  readonly #hidden: RegExp

  constructor({ prefix, excluded, hidden }: TreeNameRules) {
    this.prefix = prefix
    this.#excluded = new Set(excluded)
    this.#hidden = hidden
  }

  /** True for a name that is left out on purpose. @param directory - path of the one that holds it */
  isHidden(directory: string, name: string): boolean {
    return this.#hidden.test(name) || (directory === this.prefix && this.#excluded.has(name))
  }

  /**
   * @param directory - path of the directory that holds it; `prefix` for the root
   * @param name - as read from disk
   * @returns undefined for a name outside the rules of paths: it is never served
   */
  pathOf(directory: string, name: string): FilePath | undefined {
    const path = parseFilePath(directory === '' ? name : `${directory}/${name}`)
    return path.ok ? path.value : undefined
  }

  /** The names from the root to `path`, joined by `/`; `''` for the root. */
  relative(path: string): string {
    return this.prefix === '' ? path : path.slice(this.prefix.length + 1)
  }
}
