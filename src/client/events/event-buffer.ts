interface Held<Item> {
  readonly item: Item
  readonly length: number
  /** Where the consumer is once it has taken the item. */
  position: string
}

/** Bounds what is held by size too: an event may have a megabyte. In UTF-16 units, which memory is made of. */
const MAX_HELD_LENGTH = 16 * 1024 * 1024

/**
 * Items between a socket, which cannot be paused, and a consumer, which takes them at its own pace. It
 * takes no notice of its own limit; who pushes must ask `isFull` and stop.
 */
export class EventBuffer<Item> {
  readonly #limit: number
  readonly #held: Held<Item>[] = []
  readonly #takers: PromiseWithResolvers<Item | undefined>[] = []
  #first = 0
  #length = 0
  #position: string | undefined
  #end: { readonly error?: unknown } | undefined
  #room: PromiseWithResolvers<void> | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** The position up to which the consumer has taken everything; undefined before the first. */
  get position(): string | undefined {
    return this.#position
  }

  get isFull(): boolean {
    return this.#held.length - this.#first >= this.#limit || this.#length >= MAX_HELD_LENGTH
  }

  push(item: Item, position: string, length: number): void {
    const taker = this.#takers.shift()
    if (taker === undefined) {
      this.#held.push({ item, position, length })
      this.#length += length
    } else {
      this.#position = position
      taker.resolve(item)
    }
  }

  /** Notes that nothing more comes before `position`. */
  advance(position: string): void {
    const last = this.#held.at(-1)
    if (last === undefined) this.#position = position
    else last.position = position
  }

  /** The next item in order; undefined at the end. */
  take(): Promise<Item | undefined> {
    const held = this.#held[this.#first]
    if (held !== undefined) return Promise.resolve(this.#remove(held))
    if (this.#end === undefined) {
      const taker = Promise.withResolvers<Item | undefined>()
      this.#takers.push(taker)
      return taker.promise
    }
    const { error } = this.#end
    this.#end = {}
    return error === undefined ? Promise.resolve(undefined) : Promise.reject(error)
  }

  /** Resolves when no more than half of what may be held is. */
  room(): Promise<void> {
    this.#room ??= Promise.withResolvers()
    const { promise } = this.#room
    this.#tellRoom()
    return promise
  }

  /** After what is held, `take` says the end, or fails once with `error`. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return
    this.#end = error === undefined ? {} : { error }
    const [first, ...others] = this.#takers.splice(0)
    if (first !== undefined) {
      if (error === undefined) first.resolve(undefined)
      else first.reject(error)
      this.#end = {}
    }
    for (const taker of others) taker.resolve(undefined)
    this.#tellRoom()
  }

  /** Ends it and forgets what is held. */
  discard(error?: unknown): void {
    this.#held.length = 0
    this.#first = 0
    this.#length = 0
    this.end(error)
  }

  #remove(held: Held<Item>): Item {
    this.#first += 1
    this.#length -= held.length
    this.#position = held.position
    // Array.shift costs the length of a long array; cutting what is used up costs it now and then.
    if (this.#first * 2 >= this.#held.length) {
      this.#held.splice(0, this.#first)
      this.#first = 0
    }
    this.#tellRoom()
    return held.item
  }

  #tellRoom(): void {
    const count = this.#held.length - this.#first
    const isRoomy = count * 2 <= this.#limit && this.#length * 2 <= MAX_HELD_LENGTH
    if (!isRoomy && this.#end === undefined) return
    this.#room?.resolve()
    this.#room = undefined
  }
}
