import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { Database } from '../../database/database.ts'
import type { BackupSummary } from './backup-manifest.ts'
import { DATABASE_ENTRY, FILES_PREFIX, STATE_ENTRIES, USERS_ENTRY } from './backup-manifest.ts'
import { makeDirectories } from './made-directories.ts'
import { exists, swapIn } from './swap-in.ts'
import { unpackBackup } from './unpack-backup.ts'

export interface RestoreTarget {
  readonly data: string
  /** Where the database of the broker lies. */
  readonly database: string
  /** The directory of the default volume. */
  readonly files: string
  readonly users: string
  /** Of the restored log: whoever holds a position of before is told that events are missing. */
  readonly newEpoch: string
  /** Puts aside what is there; without it nothing may be there but the same users file. */
  readonly force: boolean
}

export interface RestoredBackup extends BackupSummary {
  /** What was in the place of something, and the name that it has now. */
  readonly setAside: readonly { readonly from: string; readonly to: string }[]
}

/**
 * Puts a backup in the place of a data directory. Everything is unpacked beside its place and verified
 * first: a backup that is cut short or damaged changes nothing, nor does a place that cannot be replaced.
 *
 * @throws {Error} in words for the operator
 */
export async function restoreBackup(file: string, target: RestoreTarget): Promise<RestoredBackup> {
  const { data, database, files, force } = target
  if (!(await exists(file))) throw new Error(`${file} is not there`)
  if (!force) await refuseTaken(data, 'data')
  // Held while it takes long: no broker runs, nor starts.
  await using held = (await exists(database)) ? await Database.open(database) : undefined
  const draft = `.restore-${randomUUID()}`
  const state = join(data, 'state')
  const users = await realpath(target.users).catch(() => target.users)
  const isInState = !relative(state, database).startsWith(`..${sep}`)
  const databaseDraft = isInState
    ? join(state + draft, relative(state, database))
    : database + draft
  const draftOf = (name: string) => {
    if (name === DATABASE_ENTRY) return databaseDraft
    if (name === USERS_ENTRY) return users + draft
    if (name.startsWith(FILES_PREFIX)) return join(files + draft, name.slice(FILES_PREFIX.length))
    const isState = STATE_ENTRIES.some((known) => known === name)
    return isState ? join(state + draft, relative('state', name)) : undefined
  }
  const replaced = [state, ...(isInState ? [] : [database])]
  const places = [...replaced, users, files]
  await using made = await makeDirectories(places.map(dirname))
  try {
    const summary = await unpackBackup(file, draftOf)
    await makeNew(databaseDraft, target.newEpoch)
    if (summary.hasFiles) {
      await mkdir(files + draft, { recursive: true })
      replaced.push(files)
      // The files are those of the index now, whatever disk they lie on: the volume is marked anew.
      await rm(`${state + draft}/volumes/default/volume-id`, { force: true })
    }
    if (!(await isSame(users, users + draft))) replaced.push(users)
    if (!force) {
      const settings = new Map([
        [users, 'users'],
        [database, 'events'],
      ])
      for (const place of replaced) await refuseTaken(place, settings.get(place) ?? 'files')
    }
    const aside = `.before-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`
    // It would take the journal of its path away, which is soon that of another database.
    await held?.close()
    const taken = await swapIn(replaced, draft, aside)
    made.keep()
    return { ...summary, setAside: taken.map((from) => ({ from, to: from + aside })) }
  } finally {
    for (const place of places) await rm(place + draft, { recursive: true, force: true })
  }
}

/** @param setting - that names the place */
async function refuseTaken(place: string, setting: string): Promise<void> {
  const found = await stat(place).catch(() => undefined)
  if (found === undefined) return
  const isDirectory = found.isDirectory()
  if (isDirectory && (await readdir(place)).length === 0) return
  const state = isDirectory ? 'is not empty' : 'is there and is not that of the backup'
  throw new Error(`${place} ${state}; --force sets it aside, or --${setting} names another place`)
}

async function isSame(place: string, draft: string): Promise<boolean> {
  const present = await readFile(place).catch(() => undefined)
  return present?.equals(await readFile(draft)) === true
}

/**
 * Positions of before mean nothing any more: events that they count were never in the backup. What was
 * under way when it was taken is known by inodes, which are others now.
 */
async function makeNew(path: string, epoch: string): Promise<void> {
  await using database = await Database.open(path)
  const [check] = await database.query<{ quick_check: string }>('PRAGMA quick_check')
  if (check?.quick_check !== 'ok') {
    throw new Error(`the backup is damaged: its database says ${check?.quick_check}`)
  }
  const tables = await database.query<{ name: string }>('SELECT name FROM sqlite_master')
  const has = (table: string) => tables.some(({ name }) => name === table)
  const renew = "INSERT OR REPLACE INTO log (name, value) VALUES ('epoch', ?)"
  await database.commit([
    ...(has('log') ? [{ sql: renew, rows: [[epoch]] }] : []),
    ...(has('upload_intent') ? [{ sql: 'DELETE FROM upload_intent', rows: [[]] }] : []),
  ])
}
