/**
 * One writer per path: uploads, deletes and the reconciler take turns. First come, first served; a path
 * that nobody holds costs nothing.
 */
export class PathLocks {
  readonly #tails = new Map<string, Promise<void>>()

  /** Runs `work` when all that asked for `path` before are done; passes on its outcome. */
  async hold<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
    const before = this.#tails.get(path)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#tails.set(path, promise)
    await before
    try {
      return await work()
    } finally {
      if (this.#tails.get(path) === promise) this.#tails.delete(path)
      resolve()
    }
  }

  /** The same for several. Everyone takes them in one order, so that no two wait for each other. */
  holdAll<Value>(paths: readonly string[], work: () => Promise<Value>): Promise<Value> {
    const holds = [...paths].sort().reduceRight((inner, path) => () => this.hold(path, inner), work)
    return holds()
  }
}
