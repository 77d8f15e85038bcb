import { once } from 'node:events'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { extname } from 'node:path'
import { MessageChannel, type Transferable, Worker } from 'node:worker_threads'
import { GroupsInFlight, type ServedGroup, type Waiting } from './groups-in-flight.ts'
import type { Row, SqlValue, Statement } from './statement.ts'
import type {
  CopyRequest,
  DatabaseReply,
  DatabaseRequest,
  DatabaseThreadData,
  JournalThreadData,
  RequestGroup,
} from './thread-messages.ts'

interface Request extends Waiting {
  request(): DatabaseRequest
}

/** Enough for one that is gathered while another is written and a third is synced. */
const MAX_GROUPS_IN_FLIGHT = 3

/**
 * The broker's one SQLite database, on threads of its own because `node:sqlite` is synchronous. It knows
 * nothing of events or files: capabilities hand it statements and rows, so that the change of a file and
 * the event that tells it can share one transaction.
 *
 * Commits that wait together share one transaction and one sync (group commit), and resolve in the order
 * in which they were asked for. While one group is synced the next is written, and queries are answered. A
 * resolved commit survives power loss: with a WAL, what `synchronous=FULL` does more than NORMAL is to sync
 * the journal after each transaction, and that is done by the second thread.
 *
 * A sync that fails is the end of the database: nobody knows then what the disk holds (fsyncgate).
 */
export class Database implements AsyncDisposable {
  readonly #writer: Worker
  readonly #groups: GroupsInFlight
  /** What is sent next, as one group. */
  #outbox: Request[] = []
  #syncer: Worker | undefined
  #journal: FileHandle | undefined
  /** Copies are made one after the other; a database is not closed under one. */
  #copying: Promise<void> = Promise.resolve()
  #closing: Promise<void> | undefined
  #failure: Error | undefined

  private constructor(writer: Worker, observe: (group: ServedGroup) => void) {
    this.#writer = writer
    this.#groups = new GroupsInFlight(observe)
    writer.on('message', (replies: readonly DatabaseReply[]) => {
      this.#groups.written(replies)
      this.#post()
    })
    writer.on('error', (cause) => this.#fail(new Error('the database thread failed', { cause })))
  }

  /** Opens or creates the database file. `:memory:` is a database that ends with this object. */
  static async open(
    path: string,
    observe: (group: ServedGroup) => void = () => {},
  ): Promise<Database> {
    // Made here, since SQLite would let everybody read it; its journals take its mode.
    if (path !== ':memory:') await (await open(path, 'a', 0o600)).close()
    const { port1, port2 } = new MessageChannel()
    const data: DatabaseThreadData = { path, written: port1 }
    const database = new Database(startThread('database-thread', data, port1), observe)
    try {
      await database.query('PRAGMA user_version')
      // There from the first query on, and the same file until the database is closed. SQLite puts it where a
      // symbolic link leads; what may lie beside the link is a journal of before it was one.
      const journal = path === ':memory:' ? undefined : await open(`${await realpath(path)}-wal`)
      database.#sync(journal, { journal: journal?.fd, written: port2 })
    } catch (cause) {
      await database.#writer.terminate()
      const isLocked = /locked/.test(String((cause as Error).cause ?? cause))
      const detail = isLocked ? 'is in use by another process' : 'cannot be opened'
      throw new Error(`the database ${path} ${detail}`, { cause })
    }
    return database
  }

  /** Requests that are being served or wait for it. */
  get waiting(): number {
    return this.#groups.requests + this.#outbox.length
  }

  /**
   * Runs all `statements` in one transaction, or none of them; resolves when they are durable.
   *
   * @param statements - or what gives them, asked once when the thread takes them: more may be added until then
   */
  commit(statements: readonly Statement[] | (() => readonly Statement[])): Promise<unknown> {
    return this.#send(true, () => ({
      commit: typeof statements === 'function' ? statements() : statements,
    }))
  }

  /** Reads; sees every commit that was asked for before. */
  async query<Result = Row>(sql: string, values: readonly SqlValue[] = []): Promise<Result[]> {
    return (await this.#send(false, () => ({ query: sql, values }))) as Result[]
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
      this.#writer.postMessage({ path, reply: port2 } satisfies CopyRequest, [port2])
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

  /** From here on commits are answered. */
  #sync(journal: FileHandle | undefined, data: JournalThreadData): void {
    this.#journal = journal
    this.#syncer = startThread('journal-thread', data, data.written)
    this.#syncer.on('message', (through: number) => {
      this.#groups.synced(through)
      this.#post()
    })
    this.#syncer.on('error', (cause) =>
      this.#fail(new Error('the database could not be synced', { cause })),
    )
  }

  async #close(): Promise<void> {
    await this.#copying
    try {
      if (this.#failure === undefined) {
        // Answered behind all commits; syncs what they wrote.
        const closed = this.#send(true, () => ({ close: true }))
        this.#failure = new Error('the database is closed')
        await closed
      }
    } finally {
      await Promise.all([this.#writer.terminate(), this.#syncer?.terminate()])
      // Nothing was written by this descriptor itself: that it cannot be closed harms nobody.
      await this.#journal?.close().catch(() => undefined)
    }
  }

  #send(awaitsSync: boolean, request: () => DatabaseRequest): Promise<readonly Row[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#outbox.length === 0) queueMicrotask(() => this.#post())
    return new Promise((resolve, reject) => {
      this.#outbox.push({ awaitsSync, request, resolve, reject })
    })
  }

  #post(): void {
    if (this.#groups.size >= MAX_GROUPS_IN_FLIGHT || this.#outbox.length === 0) return
    const requests = this.#outbox
    this.#outbox = []
    const number = this.#groups.send(requests)
    const group: RequestGroup = { number, requests: requests.map(({ request }) => request()) }
    this.#writer.postMessage(group)
  }

  #fail(error: Error): void {
    this.#failure = error
    this.#groups.fail(error)
    for (const { reject } of this.#outbox.splice(0)) reject(error)
  }
}

/** @param name - of a module in this folder */
function startThread(name: string, workerData: unknown, port: Transferable): Worker {
  // The built package has `.js` where the source has `.ts`.
  const file = new URL(`./${name}${extname(import.meta.url)}`, import.meta.url)
  return new Worker(file, { workerData, transferList: [port] })
}
