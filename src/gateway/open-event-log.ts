import { randomInt } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Database } from '../database/database.ts'
import type { ServedGroup } from '../database/groups-in-flight.ts'
import type { Statement } from '../database/statement.ts'
import type { EventLog } from '../events/log/event-log.ts'
import { MemoryEventLog } from '../events/log/memory-event-log.ts'
import { SqliteEventLog } from '../events/log/sqlite-event-log.ts'
import type { TellChanges } from '../files/index/file-index.ts'
import { tellInTransaction, tellThroughOutbox } from './joins.ts'
import type { Settings } from './settings/settings.ts'

/** The log, the database that holds the file index, and how a change of a file gets from one to the other. */
export interface OpenLog {
  readonly log: EventLog
  readonly database: Database
  readonly path: string
  readonly tell: TellChanges<Statement>
}

/** Opens what `--events` names. The database is closed by the caller, after the log. */
export async function openEventLog(
  settings: Settings,
  observe: (group: ServedGroup) => void,
): Promise<OpenLog> {
  const { events, data, historyEvents, historyBytes, historyAgeMs } = settings
  const path = events.kind === 'sqlite' ? events.path : join(data, 'state', 'broker.db')
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  const database = await Database.open(path, observe)
  const budget = { events: historyEvents, bytes: historyBytes, ageMs: historyAgeMs }
  const now = Date.now
  if (events.kind === 'sqlite') {
    const log = await SqliteEventLog.open({ database, budget, newEpoch: newEpoch(), now })
    return { log, database, path, tell: tellInTransaction(log) }
  }
  const log = new MemoryEventLog({ budget, epoch: newEpoch(), now })
  return { log, database, path, tell: await tellThroughOutbox(database, log) }
}

/** Eight characters of base 36: two installations do not take each other's positions for their own. */
export function newEpoch(): string {
  return Array.from({ length: 8 }, () => randomInt(36).toString(36)).join('')
}
