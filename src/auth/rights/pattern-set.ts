import { patternCovers, patternsOverlap } from '../../protocol/segment-pattern.ts'

/** Where patterns that begin alike part: by a segment, or at a `*`. */
interface PatternNode {
  readonly children: Map<string, PatternNode>
  any: PatternNode | undefined
  /** A pattern ends here. */
  isEnd: boolean
  /** A pattern ends here with `**`, which also stands for nothing. */
  isRest: boolean
}

/**
 * Patterns of one effect and action as a tree: `matches` is on the path of every publish and every
 * delivery, and costs a look-up per segment however many patterns there are. Names are taken literally: a
 * file may be called `*`.
 */
export class PatternSet {
  readonly #patterns: readonly string[]
  readonly #root = newNode()

  constructor(patterns: Iterable<string>) {
    this.#patterns = [...new Set(patterns)]
    for (const pattern of this.#patterns) this.#insert(pattern.split('/'))
  }

  /** True when some pattern stands for `name`. */
  matches(name: string): boolean {
    return matchesFrom(this.#root, name, 0)
  }

  /** True when one pattern stands for every name that `filter` stands for. */
  covers(filter: string): boolean {
    return this.#patterns.some((pattern) => patternCovers(pattern, filter))
  }

  /** True when one pattern and `filter` have a name in common. */
  overlaps(filter: string): boolean {
    return this.#patterns.some((pattern) => patternsOverlap(pattern, filter))
  }

  #insert(segments: readonly string[]): void {
    let node = this.#root
    for (const segment of segments) {
      if (segment === '**') {
        node.isRest = true
        return
      }
      node = childOf(node, segment)
    }
    node.isEnd = true
  }
}

function newNode(): PatternNode {
  return { children: new Map(), any: undefined, isEnd: false, isRest: false }
}

function childOf(node: PatternNode, segment: string): PatternNode {
  const known = segment === '*' ? node.any : node.children.get(segment)
  if (known !== undefined) return known
  const child = newNode()
  if (segment === '*') node.any = child
  else node.children.set(segment, child)
  return child
}

/** Looks at no node twice, so that no name costs more than all patterns. */
function matchesFrom(node: PatternNode, name: string, start: number): boolean {
  if (node.isRest) return true
  if (start > name.length) return node.isEnd
  const slash = name.indexOf('/', start)
  const end = slash === -1 ? name.length : slash
  const child = node.children.get(name.slice(start, end))
  if (child !== undefined && matchesFrom(child, name, end + 1)) return true
  return node.any !== undefined && matchesFrom(node.any, name, end + 1)
}
