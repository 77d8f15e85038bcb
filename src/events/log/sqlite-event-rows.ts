/** The tables of the durable log and the statements over them. */
import type { Database } from '../../database/database.ts'
import type { SqlValue, Statement } from '../../database/statement.ts'
import type { Topic } from '../../protocol/topic.ts'
import { DUPLICATE_WINDOW_MS } from './duplicates.ts'
import type { Trimmed } from './history.ts'
import type { SequencedEvent } from './sequencer.ts'
import { familyOf, type HistoryFamily } from './stored-event.ts'

/** The event's JSON without its position, which follows from the offset. */
export interface EventRow {
  readonly offset: number
  readonly topic: string
  readonly json: string
}

const TABLES = [
  `CREATE TABLE IF NOT EXISTS events (
     offset INTEGER PRIMARY KEY, topic TEXT NOT NULL, family TEXT NOT NULL, time INTEGER NOT NULL,
     size INTEGER NOT NULL, user TEXT, json TEXT NOT NULL) STRICT`,
  `CREATE INDEX IF NOT EXISTS events_by_user ON events (user)`,
  // Of before a history had shares.
  `DROP INDEX IF EXISTS events_by_family`,
  `CREATE TABLE IF NOT EXISTS identities (
     identity TEXT PRIMARY KEY, id TEXT NOT NULL, offset INTEGER NOT NULL, topic TEXT NOT NULL,
     time INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  `CREATE INDEX IF NOT EXISTS identities_by_time ON identities (time)`,
  `CREATE TABLE IF NOT EXISTS log (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
]

const INSERT_EVENT =
  'INSERT INTO events (offset, topic, family, time, size, user, json) VALUES (?, ?, ?, ?, ?, ?, ?)'
const INSERT_IDENTITY =
  'INSERT OR REPLACE INTO identities (identity, id, offset, topic, time) VALUES (?, ?, ?, ?, ?)'
const SET = 'INSERT OR REPLACE INTO log (name, value) VALUES (?, ?)'

export function insertions(events: readonly SequencedEvent[]): Statement[] {
  const rows: SqlValue[][] = []
  const identities: SqlValue[][] = []
  for (const { draft, event, time } of events) {
    const { topic, user, json, identity, id } = draft
    rows.push([event.offset, topic, familyOf(topic), time, event.json.length, user, json])
    if (identity !== undefined) identities.push([identity, id, event.offset, topic, time])
  }
  const inserted = { sql: INSERT_EVENT, rows }
  return identities.length === 0
    ? [inserted]
    : [inserted, { sql: INSERT_IDENTITY, rows: identities }]
}

const DELETE_ALL = 'DELETE FROM events WHERE offset > ? AND offset <= ? AND family = ?'
const DELETE_OF_USER =
  'DELETE FROM events WHERE user IS ? AND offset BETWEEN ? AND ? AND family = ?'

export function trimming(trimmed: Trimmed): Statement[] {
  const { family, dropped, goneBefore, goneThrough, lostThrough } = trimmed
  const others = dropped
    .filter(({ through }) => through > goneThrough)
    .map(({ user, first, through }) => [user, Math.max(first, goneThrough + 1), through, family])
  return [
    // Many users who publish little each: one statement for what they lose, not one for each.
    { sql: DELETE_ALL, rows: [[goneBefore, goneThrough, family]] },
    { sql: DELETE_OF_USER, rows: others },
    { sql: SET, rows: [[`trimmed.${family}`, String(lostThrough)]] },
  ]
}

export function forgetting(before: number): Statement[] {
  return [{ sql: 'DELETE FROM identities WHERE time <= ?', rows: [[before]] }]
}

type Query = [text: string, values: SqlValue[]]

export interface SizeRow {
  readonly offset: number
  readonly size: number
}

/** Which rows: those after an offset, or these. */
export type Selection = { readonly after: number } | { readonly offsets: readonly number[] }

/** Offsets and sizes of the first rows of a selection, in order. */
export function sizesOf(selection: Selection, head: number, limit: number): Query {
  const { condition, values } = conditionOf(selection)
  return [
    `SELECT offset, size FROM events WHERE ${condition} AND offset <= ? ORDER BY offset LIMIT ?`,
    [...values, head, limit],
  ]
}

/** The rows of a selection, in order. */
export function eventsOf(selection: Selection, through: number): Query {
  const { condition, values } = conditionOf(selection)
  return [
    `SELECT offset, topic, json FROM events WHERE ${condition} AND offset <= ? ORDER BY offset`,
    [...values, through],
  ]
}

function conditionOf(selection: Selection): { condition: string; values: SqlValue[] } {
  if ('after' in selection) return { condition: 'offset > ?', values: [selection.after] }
  // One text for all, so that it is prepared once.
  const condition = 'offset IN (SELECT value FROM json_each(?))'
  return { condition, values: [JSON.stringify(selection.offsets)] }
}

/** What a log takes up from. */
export interface LogState {
  readonly epoch: string
  readonly head: number
  /** Nothing after these offsets was dropped. */
  readonly lostThrough: Readonly<Record<HistoryFamily, number>>
  readonly events: readonly {
    offset: number
    topic: Topic
    user: string | null
    size: number
    time: number
  }[]
  readonly identities: readonly {
    identity: string
    id: string
    offset: number
    topic: Topic
    time: number
  }[]
}

export async function readState(deps: {
  readonly database: Database
  readonly newEpoch: string
  now(): number
}): Promise<LogState> {
  const { database, newEpoch, now } = deps
  await database.commit(TABLES.map((text) => ({ sql: text, rows: [[]] })))
  const names = await database.query<{ name: string; value: string }>('SELECT name, value FROM log')
  const values = new Map(names.map(({ name, value }) => [name, value]))
  const epoch = values.get('epoch') ?? newEpoch
  if (!values.has('epoch')) await database.commit([{ sql: SET, rows: [['epoch', epoch]] }])
  const lostThrough = {
    files: Number(values.get('trimmed.files') ?? 0),
    published: Number(values.get('trimmed.published') ?? 0),
  }
  const events = await database.query<LogState['events'][number]>(
    'SELECT offset, topic, user, size, time FROM events ORDER BY offset',
  )
  const identities = await database.query<LogState['identities'][number]>(
    'SELECT identity, id, offset, topic, time FROM identities WHERE time > ? ORDER BY time, offset',
    [now() - DUPLICATE_WINDOW_MS],
  )
  const newest = events.at(-1)?.offset ?? 0
  const head = Math.max(newest, lostThrough.files, lostThrough.published)
  return { epoch, head, lostThrough, events, identities }
}
