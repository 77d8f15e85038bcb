import type { UsersDiff } from '../auth/users-file/users-diff.ts'
import type { Database } from '../database/database.ts'
import type { Statement } from '../database/statement.ts'
import type { EventDraft, EventLog } from '../events/log/event-log.ts'
import type { SqliteEventLog } from '../events/log/sqlite-event-log.ts'
import { composeOwnEvent } from '../events/publish/compose-event.ts'
import { idFactory } from '../events/publish/id-factory.ts'
import type { FileChange } from '../files/file-change.ts'
import type { TellChanges } from '../files/index/file-index.ts'
import { topicOfPath } from '../protocol/file-topic.ts'
import { formatPosition } from '../protocol/position.ts'
import type { Topic } from '../protocol/topic.ts'
import { USERS_PATH, type UsersInForce } from './users-in-force.ts'

/** Where a change of a file becomes an event: the one place at which files and events meet. */

/** The event that tells `change`. */
export function fileEvent({ type, ...data }: FileChange, id: string): EventDraft {
  return composeOwnEvent({
    topic: topicOfPath(data.path),
    type,
    source: '/broker/files',
    subject: data.path,
    id,
    time: new Date().toISOString(),
    data,
  })
}

/** Changes and their index rows in the transaction that appends the events. */
export function tellInTransaction(log: SqliteEventLog): TellChanges<Statement> {
  const newId = idFactory()
  return async (changes, statements) => {
    const drafts = changes.map((change) => fileEvent(change, newId()))
    const acks = await log.appendWith(drafts, statements)
    return acks.map(({ offset }) => formatPosition(log.epoch, offset))
  }
}

/** Told of each change when it is committed, of an accepted users file with what it changed. */
export type ChangeListener = (
  change: FileChange,
  position: string | undefined,
  users: UsersDiff | undefined,
) => void

/** Puts a new users file in force when its change is committed, before the uploader is answered. */
export function reloadingUsers(
  tell: TellChanges<Statement>,
  users: UsersInForce,
  told: ChangeListener,
): TellChanges<Statement> {
  return async (changes, statements) => {
    const positions = await tell(changes, statements)
    const isAccepted = ({ path, type }: FileChange) =>
      path === USERS_PATH && (type === 'FILE CREATED' || type === 'FILE UPDATED')
    let diff: UsersDiff | undefined
    try {
      if (changes.some(isAccepted)) diff = await users.reload()
    } finally {
      for (const [i, change] of changes.entries()) told(change, positions[i], diff)
    }
    return positions
  }
}

const OUTBOX = `CREATE TABLE IF NOT EXISTS outbox (
  id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, json TEXT NOT NULL) STRICT`

/**
 * For a log that is not in the database: events are put down with the index rows, told, and crossed out.
 * After a crash between the last two they are told again, under the same id.
 */
export async function tellThroughOutbox(
  database: Database,
  log: EventLog,
): Promise<TellChanges<Statement>> {
  await database.commit([{ sql: OUTBOX, rows: [[]] }])
  const tell = async (drafts: readonly EventDraft[]) => {
    const acks = await log.append(drafts)
    const rows = drafts.map(({ id }) => [id])
    await database.commit([{ sql: 'DELETE FROM outbox WHERE id = ?', rows }])
    return acks.map(({ offset }) => formatPosition(log.epoch, offset))
  }
  const left = await database.query<{ id: string; topic: Topic; json: string }>(
    'SELECT id, topic, json FROM outbox ORDER BY rowid',
  )
  if (left.length > 0) await tell(left.map((row) => ({ ...row, user: null })))
  const newId = idFactory()
  return async (changes, statements) => {
    const drafts = changes.map((change) => fileEvent(change, newId()))
    const rows = drafts.map(({ id, topic, json }) => [id, topic, json])
    await database.commit([
      ...statements,
      { sql: 'INSERT INTO outbox (id, topic, json) VALUES (?, ?, ?)', rows },
    ])
    return tell(drafts)
  }
}
