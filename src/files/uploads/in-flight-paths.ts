/** A reader that compares file and index. */
interface Look {
  isDisturbed: boolean
}

/**
 * Paths whose visible file and index entry differ for a moment, because the one is changed before the
 * other. Readers, which take no lock, wait for that moment to pass rather than see a file without its tag.
 */
export class InFlightPaths {
  readonly #works = new Map<string, Promise<unknown>>()
  readonly #looks = new Map<string, Set<Look>>()

  /** Marks `paths` while `work` runs. Whoever calls holds their locks, so that nobody else does. */
  async during<Value>(paths: readonly string[], work: () => Promise<Value>): Promise<Value> {
    const running = work()
    for (const path of paths) {
      this.#works.set(path, running)
      for (const look of this.#looks.get(path) ?? []) look.isDisturbed = true
    }
    try {
      return await running
    } finally {
      for (const path of paths) this.#works.delete(path)
    }
  }

  /** Notices whether anything is under way until it is disposed of. */
  look(path: string): Disposable & Readonly<Look> {
    const looks = this.#looks.get(path) ?? new Set()
    const end = () => {
      looks.delete(look)
      if (looks.size === 0) this.#looks.delete(path)
    }
    const look = { isDisturbed: this.#works.has(path), [Symbol.dispose]: end }
    this.#looks.set(path, looks.add(look))
    return look
  }

  /** Waits for what is under way; undefined when nothing is. */
  settled(path: string): Promise<void> | undefined {
    return this.#works.get(path)?.then(ignore, ignore)
  }
}

function ignore(): void {
  // Who waits looks again; who works hears of a failure.
}
