import { randomUUID } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import type { ListedCredential } from '../users-file/users-file.ts'

/** How a credential is known here: by what it is recognised by, so that another of the same id is another. */
type CredentialKey = Pick<ListedCredential, 'kind' | 'value'>

export interface LastUsesOptions {
  /** Where the times outlive the process. */
  readonly path: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** How often they are written at most. */
  readonly writeEveryMs?: number
  /** Told of a file that could not be written; the times go on in memory. */
  onFailure(error: unknown): void
}

/**
 * When each credential was last good for a login. Kept in memory and written now and then: a crash loses
 * the last minute, which is little beside the question "is this token still in use".
 */
export class LastUses implements AsyncDisposable {
  readonly #options: LastUsesOptions
  readonly #times: Map<string, number>
  readonly #timer: NodeJS.Timeout
  #isChanged = false
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: LastUsesOptions, times: Map<string, number>) {
    this.#options = options
    this.#times = times
    this.#timer = setInterval(() => void this.write(), options.writeEveryMs ?? 60_000).unref()
  }

  /** A file that is missing or damaged is one without times. */
  static async open(options: LastUsesOptions): Promise<LastUses> {
    return new LastUses(options, await readTimes(options.path))
  }

  mark(credential: CredentialKey): void {
    this.#times.set(keyOf(credential), this.#options.now())
    this.#isChanged = true
  }

  /** Milliseconds since the epoch; undefined when it was never used, as far as is known. */
  of(credential: CredentialKey): number | undefined {
    return this.#times.get(keyOf(credential))
  }

  /** Forgets all others. */
  retain(credentials: Iterable<CredentialKey>): void {
    const known = new Set(Iterator.from(credentials).map(keyOf))
    for (const key of this.#times.keys()) {
      if (!known.has(key)) this.#isChanged = this.#times.delete(key)
    }
  }

  /** Writes what has changed; of several calls one writes after the other. */
  write(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeNow()).catch(this.#options.onFailure)
    return this.#writing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.write()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #writeNow(): Promise<void> {
    if (!this.#isChanged) return
    this.#isChanged = false
    const { path } = this.#options
    const draft = `${path}.${randomUUID()}.tmp`
    try {
      await writeFile(draft, JSON.stringify(Object.fromEntries(this.#times)), { mode: 0o600 })
      await rename(draft, path)
    } catch (error) {
      this.#isChanged = true
      await rm(draft, { force: true })
      throw error
    }
  }
}

async function readTimes(path: string): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  try {
    const fields: unknown = JSON.parse(await readFile(path, 'utf8'))
    if (typeof fields !== 'object' || fields === null) return times
    for (const [key, ms] of Object.entries(fields)) if (Number.isSafeInteger(ms)) times.set(key, ms)
  } catch {
    // Times are a help for people: nothing is refused for want of them.
  }
  return times
}

function keyOf({ kind, value }: CredentialKey): string {
  return `${kind} ${value}`
}
