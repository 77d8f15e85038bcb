/** The thread of `database.ts` that writes: commits in groups, queries between them. */
import { backup, DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Row, SqlValue, Statement } from './statement.ts'
import type {
  CopyRequest,
  DatabaseReply,
  DatabaseRequest,
  DatabaseThreadData,
  RequestGroup,
} from './thread-messages.ts'

type SharedRequest = Exclude<DatabaseRequest, { close: unknown }>

/** Prepared statements that are kept; those of subscriptions differ by their filters. */
const MAX_PREPARED = 500

/** Bounds the time that a reader waits behind one transaction. */
const MAX_ROWS_PER_TRANSACTION = 4096

/** 4 MiB: some milliseconds. */
const PAGES_PER_STEP = 1024

if (parentPort === null) throw new Error('database-thread.ts is started by database.ts')
const port = parentPort
const { path, written } = workerData as DatabaseThreadData
const database = new DatabaseSync(path)
// NORMAL: a commit is written to the journal, which `journal-thread.ts` makes durable while the next is written.
database.exec(`
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA foreign_keys = ON;
  PRAGMA busy_timeout = 1000;
  PRAGMA wal_autocheckpoint = 1000;
  PRAGMA journal_size_limit = 67108864;
`)

/** One object for all, which is cloned once a message. */
const DONE: DatabaseReply = {}

const prepared = new Map<string, StatementSync>()

function prepare(sql: string): StatementSync {
  let statement = prepared.get(sql)
  if (statement === undefined) {
    if (prepared.size >= MAX_PREPARED) prepared.clear()
    statement = database.prepare(sql)
    prepared.set(sql, statement)
  }
  return statement
}

function run(statements: readonly Statement[]): void {
  for (const { sql, rows } of statements) {
    const statement = prepare(sql)
    for (const row of rows) statement.run(...(row as SqlValue[]))
  }
}

function transaction(work: () => void): string | undefined {
  try {
    database.exec('BEGIN IMMEDIATE')
    work()
    database.exec('COMMIT')
    return undefined
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    return (error as Error).message
  }
}

/**
 * One transaction for the whole group, whose queries see what stands before them; when it fails, one each, so
 * that a bad one fails alone. A query between two commits must not cost a second fsync.
 */
function serveTogether(requests: readonly SharedRequest[]): DatabaseReply[] {
  if (!requests.some((request) => 'commit' in request)) return requests.map(answer)
  const replies: DatabaseReply[] = []
  const failure = transaction(() => {
    for (const request of requests) replies.push(answer(request))
  })
  if (failure === undefined) return replies
  if (requests.length === 1) return [{ error: failure }]
  return requests.flatMap((request) => serveTogether([request]))
}

/** @throws when a commit fails */
function answer(request: SharedRequest): DatabaseReply {
  if ('commit' in request) {
    run(request.commit)
    return DONE
  }
  try {
    return { rows: prepare(request.query).all(...(request.values as SqlValue[])) as Row[] }
  } catch (error) {
    return { error: (error as Error).message }
  }
}

function rowCount(request: SharedRequest): number {
  return 'commit' in request ? request.commit.reduce((sum, { rows }) => sum + rows.length, 0) : 0
}

function serveGroup({ number, requests }: RequestGroup): void {
  port.postMessage(serve(requests))
  if (requests.some((request) => !('query' in request))) written.postMessage(number)
}

/** Serves everything that waits, in order, and answers once. */
function serve(requests: readonly DatabaseRequest[]): DatabaseReply[] {
  const replies: DatabaseReply[] = []
  let group: SharedRequest[] = []
  let rows = 0
  const flush = () => {
    replies.push(...serveTogether(group))
    group = []
    rows = 0
  }
  for (const request of requests) {
    if ('close' in request) {
      flush()
      database.close()
      replies.push(DONE)
      continue
    }
    group.push(request)
    rows += rowCount(request)
    if (rows >= MAX_ROWS_PER_TRANSACTION) flush()
  }
  flush()
  return replies
}

/** What came while a step of a copy was under way: a write beside its first step would end the copy. */
let held: RequestGroup[] | undefined

function serveHeld(): void {
  for (const group of held?.splice(0) ?? []) serveGroup(group)
}

/** In steps between the groups, so that commits do not wait for all of it; what they change is copied too. */
async function copyTo({ path, reply }: CopyRequest): Promise<void> {
  held = []
  try {
    await backup(database, path, { rate: PAGES_PER_STEP, progress: serveHeld })
    reply.postMessage(DONE)
  } catch (error) {
    reply.postMessage({ error: (error as Error).message } satisfies DatabaseReply)
  }
  serveHeld()
  held = undefined
}

port.on('message', (message: RequestGroup | CopyRequest) => {
  if ('path' in message) void copyTo(message)
  else if (held === undefined) serveGroup(message)
  else held.push(message)
})
