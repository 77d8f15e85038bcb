import type { Topic } from '../../protocol/topic.ts'
import { ALL_TOPICS, type TopicFilter } from '../../protocol/topic-filter.ts'
import type { Share } from './history-account.ts'

/** Beyond, so many events match that reading all of them in order costs no more. */
const MAX_TOPICS = 4096

/** Topics whose place is remembered before the memory is dropped and filled anew. */
const MAX_REMEMBERED = 10_000

/** A topic, and those that go on from it by a segment. */
interface Node {
  /** Of its events, in order, and whose each of them is. */
  offsets: number[]
  shares: Share[]
  children: Map<string, Node> | undefined
}

/**
 * Where the events of each topic are: what a filter asks for is found without a look at anything else. In
 * memory, since an index of topics in the database would write a page for almost every event.
 */
export class TopicDirectory {
  readonly #root: Node = { offsets: [], shares: [], children: undefined }
  readonly #remembered = new Map<Topic, Node>()
  #size = 0

  /** How many events it holds, those that the history has dropped since included. */
  get size(): number {
    return this.#size
  }

  /** Takes in an event; they come in the order of offsets. */
  add(topic: Topic, offset: number, share: Share): void {
    const node = this.#nodeOf(topic)
    node.offsets.push(offset)
    node.shares.push(share)
    this.#size += 1
  }

  /**
   * The first `limit` offsets after `after` of kept events that match any of `filters`, in order;
   * undefined when that is too much to look up.
   */
  find(filters: readonly TopicFilter[], after: number, limit: number): number[] | undefined {
    if (filters.includes(ALL_TOPICS as TopicFilter)) return undefined
    const nodes = new Set<Node>()
    for (const filter of filters) {
      if (!collect(this.#root, filter.split('/'), 0, nodes)) return undefined
    }
    return firstOf(nodes, after, limit)
  }

  /** Lets go of what the history dropped. */
  sweep(): void {
    this.#remembered.clear()
    this.#size = sweep(this.#root)
  }

  #nodeOf(topic: Topic): Node {
    const known = this.#remembered.get(topic)
    if (known !== undefined) return known
    let node = this.#root
    for (const segment of topic.split('/')) {
      node.children ??= new Map()
      let child = node.children.get(segment)
      if (child === undefined) {
        child = { offsets: [], shares: [], children: undefined }
        node.children.set(segment, child)
      }
      node = child
    }
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(topic, node)
    return node
  }
}

/** Adds the topics below `node` that the segments from `index` on match; false when they are too many. */
function collect(node: Node, segments: readonly string[], index: number, into: Set<Node>): boolean {
  const segment = segments[index]
  const isEnd = segment === undefined || segment === ALL_TOPICS
  if (isEnd && node.offsets.length > 0) into.add(node)
  if (into.size > MAX_TOPICS) return false
  if (segment === undefined || node.children === undefined) return true
  if (segment !== ALL_TOPICS && segment !== '*') {
    const child = node.children.get(segment)
    return child === undefined || collect(child, segments, index + 1, into)
  }
  const next = segment === ALL_TOPICS ? index : index + 1
  for (const child of node.children.values()) {
    if (!collect(child, segments, next, into)) return false
  }
  return true
}

function firstOf(nodes: Iterable<Node>, after: number, limit: number): number[] {
  let found: number[] = []
  /** Nothing from here on can be among the first ones. */
  let bound = Infinity
  const cut = () => {
    found = found.sort((a, b) => a - b).slice(0, limit)
    if (found.length === limit) bound = found.at(-1) ?? 0
  }
  for (const { offsets, shares } of nodes) {
    for (let i = indexAfter(offsets, after); i < offsets.length; i += 1) {
      const offset = offsets[i] ?? 0
      if (offset >= bound) break
      if (offset > (shares[i]?.droppedThrough ?? 0)) found.push(offset)
      if (found.length >= 2 * limit) cut()
    }
  }
  cut()
  return found
}

/** Index of the first of ascending `offsets` that is greater than `after`. */
function indexAfter(offsets: readonly number[], after: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((offsets[middle] ?? 0) <= after) low = middle + 1
    else high = middle
  }
  return low
}

/** Returns how many events are left. */
function sweep(node: Node): number {
  const { offsets, shares } = node
  const isKept = (_: unknown, i: number) => (offsets[i] ?? 0) > (shares[i]?.droppedThrough ?? 0)
  node.offsets = offsets.filter(isKept)
  node.shares = shares.filter(isKept)
  let left = node.offsets.length
  for (const [segment, child] of node.children ?? []) {
    const below = sweep(child)
    if (below === 0) node.children?.delete(segment)
    left += below
  }
  return left
}
