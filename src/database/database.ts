import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { extname } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'

/** What SQLite stores and returns here. Integers beyond 2^53 come back as bigint. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** One SQL statement and the rows of parameters it is run for, in order. */
export interface Statement {
  readonly sql: string
  readonly rows: readonly (readonly SqlValue[])[]
}

export type Row = Readonly<Record<string, SqlValue>>

/** Work sent to the thread, which answers each group with as many replies; see `database-thread.ts`. */
export type DatabaseRequest =
  | { readonly commit: readonly Statement[] }
  | { readonly query: string; readonly values: readonly SqlValue[] }
  | { readonly close: true }

/** A copy of the database to be made while it is in use; answered on a port of its own. */
export interface CopyRequest {
  readonly path: string
  readonly reply: MessagePort
}

export interface DatabaseReply {
  readonly rows?: readonly Row[]
  readonly error?: string
}

/** What came together, shared transactions, and was answered together. */
export interface ServedGroup {
  readonly requests: number
  readonly seconds: number
  /** What SQLite said of one that failed. */
  readonly failure: string | undefined
}

interface Waiting {
  request(): DatabaseRequest
  resolve(rows: readonly Row[]): void
  reject(error: Error): void
}

/**
 * The broker's one SQLite database, on a thread of its own because `node:sqlite` is synchronous. It knows
 * nothing of events or files: capabilities hand it statements and rows, so that the change of a file and
 * the event that tells it can share one transaction.
 *
 * Commits that wait together share one transaction and one fsync (group commit), and resolve in the order
 * in which they were asked for. A resolved commit survives power loss (WAL, `synchronous=FULL`).
 */
export class Database implements AsyncDisposable {
  readonly #thread: Worker
  /** What the thread is at work on. */
  #sent: readonly Waiting[] = []
  /** What it is given next, as one group. */
  #outbox: Waiting[] = []
  readonly #observe: (group: ServedGroup) => void
  #sentAtMs = 0
  /** Copies are made one after the other; a database is not closed under one. */
  #copying: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined
  #failure: Error | undefined

  private constructor(thread: Worker, observe: (group: ServedGroup) => void) {
    this.#thread = thread
    this.#observe = observe
    thread.on('message', (replies: readonly DatabaseReply[]) => {
      const served = this.#sent
      this.#sent = []
      const seconds = (performance.now() - this.#sentAtMs) / 1000
      this.#observe({ requests: served.length, seconds, failure: failureIn(replies) })
      this.#post()
      for (const [i, waiting] of served.entries()) settle(waiting, replies[i])
    })
    thread.on('error', (cause) => this.#fail(new Error('the database thread failed', { cause })))
  }

  /** Opens or creates the database file. `:memory:` is a database that ends with this object. */
  static async open(
    path: string,
    observe: (group: ServedGroup) => void = () => {},
  ): Promise<Database> {
    // Made here, since SQLite would let everybody read it; its journals take its mode.
    if (path !== ':memory:') await (await open(path, 'a', 0o600)).close()
    // The built package has `.js` where the source has `.ts`.
    const file = `./database-thread${extname(import.meta.url)}`
    const thread = new Worker(new URL(file, import.meta.url), { workerData: { path } })
    const database = new Database(thread, observe)
    try {
      await database.query('PRAGMA user_version')
    } catch (cause) {
      await thread.terminate()
      const isLocked = /locked/.test(String((cause as Error).cause ?? cause))
      const detail = isLocked ? 'is in use by another process' : 'cannot be opened'
      throw new Error(`the database ${path} ${detail}`, { cause })
    }
    return database
  }

  /** Requests that are being served or wait for it. */
  get waiting(): number {
    return this.#sent.length + this.#outbox.length
  }

  /**
   * Runs all `statements` in one transaction, or none of them; resolves when they are durable.
   *
   * @param statements - or what gives them, asked once when the thread takes them: more may be added until then
   */
  commit(statements: readonly Statement[] | (() => readonly Statement[])): Promise<unknown> {
    return this.#send(() => ({
      commit: typeof statements === 'function' ? statements() : statements,
    }))
  }

  /** Reads; sees every commit that was asked for before. */
  async query<Result = Row>(sql: string, values: readonly SqlValue[] = []): Promise<Result[]> {
    return (await this.#send(() => ({ query: sql, values }))) as Result[]
  }

  /**
   * Writes a copy of the database, as it is when this resolves, into a file that is not there yet. Commits
   * go on meanwhile.
   */
  copyTo(path: string): Promise<void> {
    const copy = this.#copying.then(() => this.#copy(path))
    this.#copying = copy.catch(() => {})
    return copy
  }

  /** Waits for what was asked for, then closes the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #copy(path: string): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    // As in `open`.
    await (await open(path, 'wx', 0o600)).close()
    const { port1, port2 } = new MessageChannel()
    try {
      this.#thread.postMessage({ path, reply: port2 } satisfies CopyRequest, [port2])
      const { error }: DatabaseReply = await Promise.race([
        once(port1, 'message').then(([reply]) => reply),
        // When the thread ends.
        once(port1, 'close').then(() => ({ error: 'the database thread ended' })),
      ])
      if (error !== undefined) throw new Error(`the database could not be copied: ${error}`)
    } finally {
      port1.close()
    }
  }

  async #close(): Promise<void> {
    await this.#copying
    if (this.#failure === undefined) {
      const closed = this.#send(() => ({ close: true }))
      this.#failure = new Error('the database is closed')
      await closed
    }
    await this.#thread.terminate()
  }

  #send(request: () => DatabaseRequest): Promise<readonly Row[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#outbox.length === 0) queueMicrotask(() => this.#post())
    return new Promise((resolve, reject) => this.#outbox.push({ request, resolve, reject }))
  }

  #post(): void {
    if (this.#sent.length > 0 || this.#outbox.length === 0) return
    this.#sent = this.#outbox
    this.#outbox = []
    this.#sentAtMs = performance.now()
    this.#thread.postMessage(this.#sent.map(({ request }) => request()))
  }

  #fail(error: Error): void {
    this.#failure = error
    for (const { reject } of [...this.#sent, ...this.#outbox]) reject(error)
    this.#sent = []
    this.#outbox = []
  }
}

function settle({ resolve, reject }: Waiting, reply: DatabaseReply | undefined): void {
  if (reply !== undefined && reply.error === undefined) resolve(reply.rows ?? [])
  else reject(new Error(reply?.error ?? 'the database gave no answer'))
}

function failureIn(replies: readonly DatabaseReply[]): string | undefined {
  return replies.find(({ error }) => error !== undefined)?.error
}
