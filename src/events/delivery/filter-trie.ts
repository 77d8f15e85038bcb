import type { Topic } from '../../protocol/topic.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'

interface Node<Value> {
  readonly children: Map<string, Node<Value>>
  readonly values: Set<Value>
}

/** Who asked for what, so that a topic finds its takers in one walk however many filters there are. */
export class FilterTrie<Value> {
  readonly #root: Node<Value> = createNode()

  add(filter: TopicFilter, value: Value): void {
    let node = this.#root
    for (const segment of filter.split('/')) {
      let child = node.children.get(segment)
      if (child === undefined) {
        child = createNode()
        node.children.set(segment, child)
      }
      node = child
    }
    node.values.add(value)
  }

  remove(filter: TopicFilter, value: Value): void {
    removeBelow(this.#root, filter.split('/'), 0, value)
  }

  /** The values of every filter that `topic` matches, each once. */
  match(topic: Topic): Set<Value> {
    const found = new Set<Value>()
    collect(this.#root, topic.split('/'), 0, found)
    return found
  }
}

function createNode<Value>(): Node<Value> {
  return { children: new Map(), values: new Set() }
}

/** Takes out branches that hold nothing any more, so that churn leaves no memory behind. */
function removeBelow<Value>(
  node: Node<Value>,
  segments: readonly string[],
  depth: number,
  value: Value,
): void {
  const segment = segments[depth]
  if (segment === undefined) {
    node.values.delete(value)
    return
  }
  const child = node.children.get(segment)
  if (child === undefined) return
  removeBelow(child, segments, depth + 1, value)
  if (child.values.size === 0 && child.children.size === 0) node.children.delete(segment)
}

function collect<Value>(
  node: Node<Value>,
  segments: readonly string[],
  depth: number,
  found: Set<Value>,
): void {
  for (const value of node.children.get('**')?.values ?? []) found.add(value)
  const segment = segments[depth]
  if (segment === undefined) {
    for (const value of node.values) found.add(value)
    return
  }
  for (const next of [node.children.get(segment), node.children.get('*')]) {
    if (next !== undefined) collect(next, segments, depth + 1, found)
  }
}
