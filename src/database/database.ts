import { open } from 'node:fs/promises'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

/** What SQLite stores and returns here. Integers beyond 2^53 come back as bigint. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** One SQL statement and the rows of parameters it is run for, in order. */
export interface Statement {
  readonly sql: string
  readonly rows: readonly (readonly SqlValue[])[]
}

export type Row = Readonly<Record<string, SqlValue>>

/** Work sent to the thread; see `database-thread.ts`. */
export type DatabaseRequest =
  | { readonly id: number; readonly commit: readonly Statement[] }
  | { readonly id: number; readonly query: string; readonly values: readonly SqlValue[] }
  | { readonly id: number; readonly close: true }

export interface DatabaseReply {
  readonly id: number
  readonly rows?: readonly Row[]
  readonly error?: string
}

interface Waiting {
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
  readonly #waiting = new Map<number, Waiting>()
  /** What the thread is given next: while it is at work, requests gather to one group. */
  #outbox: DatabaseRequest[] = []
  #isBusy = false
  #lastId = 0
  #closing: Promise<void> | undefined
  #failure: Error | undefined

  private constructor(thread: Worker) {
    this.#thread = thread
    thread.on('message', (replies: readonly DatabaseReply[]) => {
      this.#isBusy = false
      this.#post()
      for (const reply of replies) this.#settle(reply)
    })
    thread.on('error', (cause) => this.#fail(new Error('the database thread failed', { cause })))
  }

  /** Opens or creates the database file. `:memory:` is a database that ends with this object. */
  static async open(path: string): Promise<Database> {
    // Made here, since SQLite would let everybody read it; its journals take its mode.
    if (path !== ':memory:') await (await open(path, 'a', 0o600)).close()
    // The built package has `.js` where the source has `.ts`.
    const file = `./database-thread${extname(import.meta.url)}`
    const thread = new Worker(new URL(file, import.meta.url), { workerData: { path } })
    const database = new Database(thread)
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

  /** Runs all `statements` in one transaction, or none of them; resolves when they are durable. */
  commit(statements: readonly Statement[]): Promise<unknown> {
    return this.#send((id) => ({ id, commit: statements }))
  }

  /** Reads; sees every commit that was asked for before. */
  async query<Result = Row>(sql: string, values: readonly SqlValue[] = []): Promise<Result[]> {
    return (await this.#send((id) => ({ id, query: sql, values }))) as Result[]
  }

  /** Waits for what was asked for, then closes the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    if (this.#failure === undefined) {
      const closed = this.#send((id) => ({ id, close: true }))
      this.#failure = new Error('the database is closed')
      await closed
    }
    await this.#thread.terminate()
  }

  #send(request: (id: number) => DatabaseRequest): Promise<readonly Row[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const id = ++this.#lastId
    if (this.#outbox.length === 0) queueMicrotask(() => this.#post())
    this.#outbox.push(request(id))
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  #post(): void {
    if (this.#isBusy || this.#outbox.length === 0) return
    this.#isBusy = true
    const requests = this.#outbox
    this.#outbox = []
    this.#thread.postMessage(requests)
  }

  #settle({ id, rows, error }: DatabaseReply): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(rows ?? [])
    else waiting?.reject(new Error(error))
  }

  #fail(error: Error): void {
    this.#failure = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
