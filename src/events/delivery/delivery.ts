import type { Topic } from '../../protocol/topic.ts'
import type { LogReader, StoredEvent } from '../log/event-log.ts'
import { Audience, type Interest, type Listener } from './audience.ts'
import { DeliveryCounters } from './delivery-counters.ts'
import { FilterTrie } from './filter-trie.ts'
import { mayReceive } from './may-receive.ts'
import type { Sink } from './sink.ts'

/** Longest wait of an event for others to leave with, under load. */
const MAX_WINDOW_MS = 20

/** How long a delivery to very many may keep the loop before everything else has its turn. */
const SLICE_MS = 10

/** An audience with this much pending does not wait for the window. */
const MAX_PENDING_BYTES = 512 * 1024

/** Topics whose takers are remembered before the memory is dropped and filled anew. */
const MAX_REMEMBERED_TOPICS = 10_000

/** A listener's place in its audience; ends when disposed. */
export interface Membership extends Disposable {
  /** True when the listener has all that was committed. */
  readonly isComplete: boolean
}

const never = () => false

/**
 * Brings committed events to the connections that are up to date. The cost of fan-out is the write call of
 * each socket, not the bytes (measured: 8 us a call, whatever its size), so events that are due within a
 * window share one write: at once when the loop is idle, up to 20 ms later under load. Very many sockets
 * are served in slices, between which the loop does everything else.
 */
export class Delivery implements Disposable {
  /** Kept by the streams. */
  readonly counters = new DeliveryCounters()
  /** Of the streams that asked for something; kept by them, to be counted. */
  readonly subscribers = new Set<Sink>()
  readonly #log: LogReader
  readonly #audiences = new Map<string, Audience>()
  readonly #trie = new FilterTrie<Audience>()
  /** Who takes a topic, rights considered: asked once per topic, not per event. */
  readonly #takers = new Map<Topic, readonly Audience[]>()
  /** Something is pending in them, or on its way. */
  readonly #due = new Set<Audience>()
  readonly #rightsKeys = new WeakMap<object, number>()
  readonly #subscription: Disposable
  #lastRightsKey = 0
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined
  /** Not before this time is the next window closed. */
  #nextWindow = 0
  /** What bringing round the present window has cost so far. */
  #spentMs = 0

  constructor(log: LogReader) {
    this.#log = log
    this.#subscription = log.onCommit((events) => this.#take(events))
  }

  /**
   * Serves `listener` from here on. It must be complete through the head of the log, in this very turn.
   *
   * @returns what ends it; afterwards the listener is complete through the head at that time
   */
  join(interest: Interest, listener: Listener): Membership {
    const audience = this.#audienceOf(interest)
    audience.join(listener, this.#log.head)
    return {
      get isComplete() {
        return audience.isComplete
      },
      [Symbol.dispose]: () => {
        audience.leave(listener, this.#log.head)
        if (audience.isEmpty) this.#drop(audience)
      },
    }
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]()
    this.#clearTimer()
  }

  #audienceOf(interest: Interest): Audience {
    const key = this.#keyOf(interest)
    let audience = this.#audiences.get(key)
    if (audience === undefined) {
      audience = new Audience(interest, this.#log.epoch)
      this.#audiences.set(key, audience)
      for (const filter of interest.filters) this.#trie.add(filter, audience)
      this.#takers.clear()
    }
    return audience
  }

  #drop(audience: Audience): void {
    const key = this.#keyOf(audience.interest)
    if (this.#audiences.get(key) !== audience) return
    this.#audiences.delete(key)
    for (const filter of audience.interest.filters) this.#trie.remove(filter, audience)
    this.#takers.clear()
  }

  #keyOf({ encoding, rights, filters }: Interest): string {
    let rightsKey = this.#rightsKeys.get(rights)
    if (rightsKey === undefined) {
      rightsKey = ++this.#lastRightsKey
      this.#rightsKeys.set(rights, rightsKey)
    }
    // No filter holds a control character.
    return `${encoding.name}\n${rightsKey}\n${filters.join('\n')}`
  }

  #take(events: readonly StoredEvent[]): void {
    for (const event of events) {
      for (const audience of this.#takersOf(event.topic)) {
        audience.offer(event)
        this.#due.add(audience)
        if (audience.pendingBytes < MAX_PENDING_BYTES) continue
        // Not in slices: publishers that are faster than this wait for it.
        audience.gather(event.offset)
        audience.serve(never)
      }
    }
    if (this.#due.size > 0) this.#schedule()
  }

  #takersOf(topic: Topic): readonly Audience[] {
    const known = this.#takers.get(topic)
    if (known !== undefined) return known
    if (this.#takers.size >= MAX_REMEMBERED_TOPICS) this.#takers.clear()
    const takers = [...this.#trie.match(topic)].filter(({ interest }) =>
      mayReceive(interest.rights, topic),
    )
    this.#takers.set(topic, takers)
    return takers
  }

  #schedule(): void {
    if (this.#timer !== undefined) return
    const waitMs = this.#nextWindow - performance.now()
    // After the I/O of this turn, so that commits which came together leave together.
    if (waitMs <= 1) this.#timer = setImmediate(() => this.#closeWindow(this.#slice()))
    else this.#timer = setTimeout(() => this.#closeWindow(this.#slice()), waitMs)
  }

  #closeWindow(isTimeUp: () => boolean): void {
    for (const audience of this.#due) audience.gather(this.#log.head)
    this.#serve(isTimeUp)
  }

  #serve(isTimeUp: () => boolean): void {
    this.#clearTimer()
    const start = performance.now()
    const isDone = this.#serveDue(isTimeUp)
    const end = performance.now()
    this.#spentMs += end - start
    if (!isDone) {
      this.#timer = setImmediate(() => this.#serve(this.#slice()))
      return
    }
    // Serving may take about half of the loop's time: what it cost is then left to everything else.
    this.#nextWindow = end + Math.min(this.#spentMs, MAX_WINDOW_MS)
    this.#spentMs = 0
    // What was committed between the slices.
    if (this.#due.size > 0) this.#schedule()
  }

  #serveDue(isTimeUp: () => boolean): boolean {
    for (const audience of this.#due) {
      if (!audience.serve(isTimeUp)) return false
      if (audience.isComplete) this.#due.delete(audience)
    }
    return true
  }

  #slice(): () => boolean {
    const end = performance.now() + SLICE_MS
    return () => performance.now() >= end
  }

  #clearTimer(): void {
    clearTimeout(this.#timer as NodeJS.Timeout)
    clearImmediate(this.#timer as NodeJS.Immediate)
    this.#timer = undefined
  }
}
