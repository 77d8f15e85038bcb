import type { FilePath } from '../../protocol/file-path.ts'
import type { Volume } from './volume.ts'

/** All volumes of a broker: which one a path belongs to. */
export class Volumes {
  readonly all: readonly Volume[]
  readonly #byPrefix: ReadonlyMap<string, Volume>

  constructor(all: readonly Volume[]) {
    this.all = all
    this.#byPrefix = new Map(all.map((volume) => [volume.prefix, volume]))
    if (this.#byPrefix.size !== all.length) throw new Error('two volumes have the same prefix')
  }

  /** The volume of a path, by its first segment; undefined when there is no default volume. */
  of(path: FilePath): Volume | undefined {
    const [first = ''] = path.split('/', 1)
    return this.#byPrefix.get(first) ?? this.#byPrefix.get('')
  }

  /** The volume under `prefix`; `''` is the default one. */
  at(prefix: string): Volume | undefined {
    return this.#byPrefix.get(prefix)
  }
}
