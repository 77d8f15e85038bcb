import { type Node, parseTree, visit } from 'jsonc-parser'
import type { ContentFault } from '../file-change.ts'

/** From 1, like those of a fault. */
type Place = Required<Pick<ContentFault, 'line' | 'column'>>

const STRICT = { disallowComments: true, allowTrailingComma: false }

/** Where a text stops being JSON; undefined when that cannot be said. */
export function placeOfSyntaxFault(text: string): Place | undefined {
  let first: Place | undefined
  const onError = (_code: number, _offset: number, _length: number, line: number, column: number) =>
    (first ??= { line: line + 1, column: column + 1 })
  unlessTooDeep(() => visit(text, { onError }, STRICT))
  return first
}

/** Finds the values of one JSON text by their JSON Pointers (RFC 6901). */
export class JsonPlaces {
  readonly #root: Node | undefined
  readonly #lineStarts: readonly number[]

  constructor(text: string) {
    this.#root = unlessTooDeep(() => parseTree(text, [], STRICT))
    this.#lineStarts = [0, ...[...text.matchAll(/\r\n|\r|\n/g)].map((m) => m.index + m[0].length)]
  }

  /** Where the value begins; undefined when there is none. */
  placeOf(pointer: string): Place | undefined {
    let node = this.#root
    for (const token of pointer.split('/').slice(1)) {
      node = childOf(node, token.replaceAll('~1', '/').replaceAll('~0', '~'))
    }
    if (node === undefined) return undefined
    const { offset } = node
    const line = this.#lineStarts.findLastIndex((start) => start <= offset)
    return { line: line + 1, column: offset - (this.#lineStarts[line] ?? 0) + 1 }
  }
}

function childOf(node: Node | undefined, name: string): Node | undefined {
  if (node?.type === 'array') return node.children?.[Number(name)]
  // Of a name that is there twice the last counts, as it does for `JSON.parse`.
  return node?.children?.findLast(({ children }) => children?.[0]?.value === name)?.children?.[1]
}

/** The parser descends by recursion, `JSON.parse` does not: what it cannot follow has no place. */
function unlessTooDeep<Value>(work: () => Value): Value | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
