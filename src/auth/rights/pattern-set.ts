import { patternCovers, patternsOverlap } from '../../protocol/segment-pattern.ts'

/**
 * Patterns of one effect and action, sorted by how they are matched: `matches` is on the path of every
 * publish and every delivery. Names are taken literally: a file may be called `*`.
 */
export class PatternSet {
  readonly #patterns: readonly string[]
  readonly #all: boolean
  readonly #exact: ReadonlySet<string>
  /** `a/b/` for `a/b/**`, whose other name `a/b` is in `#exact`. */
  readonly #prefixes: readonly string[]
  readonly #others: readonly (readonly string[])[]

  constructor(patterns: Iterable<string>) {
    this.#patterns = [...new Set(patterns)]
    this.#all = this.#patterns.includes('**')
    const exact = new Set<string>()
    const prefixes: string[] = []
    const others: (readonly string[])[] = []
    for (const pattern of this.#patterns) {
      const stem = pattern.endsWith('/**') ? pattern.slice(0, -3) : pattern
      if (stem.split('/').some((segment) => segment === '*' || segment === '**')) {
        others.push(pattern.split('/'))
      } else {
        exact.add(stem)
        if (stem !== pattern) prefixes.push(`${stem}/`)
      }
    }
    this.#exact = exact
    this.#prefixes = prefixes
    this.#others = others
  }

  get isEmpty(): boolean {
    return this.#patterns.length === 0
  }

  /** True when some pattern stands for `name`. */
  matches(name: string): boolean {
    if (this.#all || this.#exact.has(name)) return true
    for (const prefix of this.#prefixes) if (name.startsWith(prefix)) return true
    if (this.#others.length === 0) return false
    const segments = name.split('/')
    return this.#others.some((pattern) => segmentsMatch(pattern, segments))
  }

  /** True when one pattern stands for every name that `filter` stands for. */
  covers(filter: string): boolean {
    return this.#patterns.some((pattern) => patternCovers(pattern, filter))
  }

  /** True when one pattern and `filter` have a name in common. */
  overlaps(filter: string): boolean {
    return this.#patterns.some((pattern) => patternsOverlap(pattern, filter))
  }
}

function segmentsMatch(pattern: readonly string[], name: readonly string[]): boolean {
  for (let i = 0; i < pattern.length; i += 1) {
    const segment = pattern[i]
    if (segment === '**') return true
    if (i >= name.length || (segment !== '*' && segment !== name[i])) return false
  }
  return pattern.length === name.length
}
