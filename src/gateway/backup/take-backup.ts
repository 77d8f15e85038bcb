import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Database } from '../../database/database.ts'
import type { TarFile } from '../../files/http/tar-archive.ts'
import type { FileStore } from '../../files/store/file-store.ts'
import { isMissing } from '../../files/store/storage-fault.ts'
import { freeBytesAt } from '../../files/uploads/free-space.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { USERS_PATH } from '../users-in-force.ts'
import {
  BACKUP_FORMAT,
  BackupDigest,
  type BackupManifest,
  DATABASE_ENTRY,
  FILES_PREFIX,
  MANIFEST,
  STATE_ENTRIES,
  USERS_ENTRY,
} from './backup-manifest.ts'

export interface BackupDeps {
  readonly data: string
  /** The users file. */
  readonly users: string
  readonly database: Database
  readonly store: FileStore
  readonly version: string
}

/** Another volume, which the listing shows as a directory. */
const USERS_VOLUME = dirname(USERS_PATH)

/**
 * The state of a running broker, and its files when asked for. The database is as it is when its copy is
 * done. A file that changes later comes as it is when its turn comes, and is told as changed when a broker
 * starts over the restored data. One backup at a time.
 */
export async function* takeBackup(deps: BackupDeps, hasFiles: boolean): AsyncGenerator<TarFile> {
  const digest = new BackupDigest()
  await using copy = await copyOf(deps.database, join(deps.data, 'state'))
  const summary = {
    format: BACKUP_FORMAT,
    time: new Date().toISOString(),
    version: deps.version,
    hasFiles,
  }
  for await (const entry of entriesOf(deps, copy, hasFiles)) {
    yield { ...entry, content: digest.entry(entry, entry.content) }
  }
  const manifest: BackupManifest = { ...summary, sha256: digest.end(summary) }
  yield small(MANIFEST, Buffer.from(JSON.stringify(manifest)))
}

async function* entriesOf(
  { data, users, store }: BackupDeps,
  copy: FileHandle,
  hasFiles: boolean,
): AsyncGenerator<TarFile> {
  const { size, mtimeMs: modifiedMs } = await copy.stat()
  const content = copy.createReadStream({ autoClose: false })
  yield { name: DATABASE_ENTRY, size, modifiedMs, content }
  for (const name of STATE_ENTRIES) {
    const bytes = await readIfThere(join(data, name))
    if (bytes !== undefined) yield small(name, bytes)
  }
  yield small(USERS_ENTRY, await readFile(users))
  if (hasFiles) yield* fileEntries(store)
}

/** A copy without a name: what is open stays, and is gone with the process. */
async function copyOf(database: Database, directory: string): Promise<FileHandle> {
  const sizes = 'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size'
  const [{ bytes } = { bytes: 0 }] = await database.query<{ bytes: number }>(sizes)
  // Without it the log itself would find the disk full.
  if ((await freeBytesAt(directory)) < 2 * bytes) {
    throw new BrokerError('STORAGE_FULL', 'there is no space for a copy of the database')
  }
  const path = join(directory, 'backup.db')
  const remove = async () => {
    for (const file of [path, `${path}-journal`]) await rm(file, { force: true })
  }
  // What a crash left behind.
  await remove()
  try {
    await database.copyTo(path)
    return await open(path)
  } finally {
    await remove()
  }
}

async function* fileEntries(store: FileStore): AsyncGenerator<TarFile> {
  const ofDefault = (path: FilePath) => path !== USERS_VOLUME
  const all = { recursive: true, after: '', showsFile: ofDefault, showsDirectory: ofDefault }
  for await (const { name } of (await store.list('', all)) ?? []) {
    await using file = await store.open(name as FilePath)
    // One that was deleted since its directory was read is left out.
    if (file === undefined) continue
    const { size, modifiedMs } = file
    yield { name: FILES_PREFIX + name, size, modifiedMs, content: file.read(0, size) }
  }
}

function small(name: string, bytes: Buffer): TarFile {
  const content = (async function* () {
    yield bytes
  })()
  return { name, size: bytes.length, modifiedMs: Date.now(), content }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
}
