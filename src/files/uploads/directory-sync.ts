/** One sync of a directory at a time; who asks while one runs shares the next. */
interface Turn {
  readonly running: Promise<void>
  next: Promise<void> | undefined
}

/**
 * Makes the names in directories durable, once for all uploads that wait for the same directory: an
 * fsync covers every rename before it, and costs the same for one as for a hundred.
 */
export class DirectorySync {
  readonly #turns = new Map<string, Turn>()

  /**
   * @param key - the directory, the same for everyone who may share
   * @param sync - its fsync; called at most once, after this call
   */
  sync(key: string, sync: () => Promise<void>): Promise<void> {
    const turn = this.#turns.get(key)
    if (turn === undefined) return this.#run(key, sync)
    turn.next ??= turn.running.then(
      () => this.#run(key, sync),
      () => this.#run(key, sync),
    )
    return turn.next
  }

  #run(key: string, sync: () => Promise<void>): Promise<void> {
    const running = sync()
    const turn: Turn = { running, next: undefined }
    this.#turns.set(key, turn)
    const settle = () => {
      if (this.#turns.get(key) === turn && turn.next === undefined) this.#turns.delete(key)
    }
    running.then(settle, settle)
    return running
  }
}
