import type { Database } from '../../database/database.ts'
import type { Row, Statement } from '../../database/statement.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { fingerprintFromText, fingerprintText } from '../fingerprint.ts'
import {
  SqliteVersionRecords,
  VERSION_ORDER,
  VERSION_TABLE,
  versionStatements,
} from '../history/sqlite-version-records.ts'
import { comparePaths } from '../path-order.ts'
import {
  FINDABLE_BYTES,
  type FileIndex,
  type IndexMutation,
  type TellChanges,
  type UploadIntent,
} from './file-index.ts'
import type { IndexEntry } from './index-entry.ts'
import { RecentEntries } from './recent-entries.ts'
import { differences, type EntryChanges, UsageSums } from './usage-sums.ts'

const TABLES = [
  `CREATE TABLE IF NOT EXISTS file_index (
    path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, sha256 TEXT NOT NULL, uploader TEXT,
    size INTEGER
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS upload_intent (
    id TEXT PRIMARY KEY, batch TEXT NOT NULL, path TEXT NOT NULL,
    dev TEXT NOT NULL, ino TEXT NOT NULL, sha256 TEXT NOT NULL, uploader TEXT
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS file_usage (
    key TEXT PRIMARY KEY, bytes INTEGER NOT NULL
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS file_refusal (
    path TEXT PRIMARY KEY, sha256 TEXT NOT NULL
  ) WITHOUT ROWID`,
  // By the database, so that a write which knows of no refusal costs no statement.
  `CREATE TRIGGER IF NOT EXISTS file_accepted AFTER INSERT ON file_index
   BEGIN DELETE FROM file_refusal WHERE path = new.path; END`,
  `CREATE TRIGGER IF NOT EXISTS file_gone AFTER DELETE ON file_index
   BEGIN DELETE FROM file_refusal WHERE path = old.path; END`,
  VERSION_TABLE,
  VERSION_ORDER,
]
/** Of a table from before; what was put then has no size until it is put again. */
const LATER_COLUMNS = [
  ['file_index', 'uploader', 'TEXT'],
  ['file_index', 'size', 'INTEGER'],
  ['upload_intent', 'uploader', 'TEXT'],
] as const
/** Only of large files: keeping it doubles what a row costs, and floods are of small ones. */
const BY_CONTENT = `
  CREATE INDEX IF NOT EXISTS file_index_content ON file_index (sha256)
  WHERE size >= ${FINDABLE_BYTES}`
const PUT = `
  INSERT OR REPLACE INTO file_index (path, fingerprint, sha256, uploader, size)
  VALUES (?, ?, ?, ?, ?)`
const WITH_CONTENT = `
  SELECT path FROM file_index
  WHERE sha256 = ? AND size >= ${FINDABLE_BYTES} ORDER BY path LIMIT ?`
const REMOVE = 'DELETE FROM file_index WHERE path = ?'
const INTEND = `
  INSERT OR REPLACE INTO upload_intent (id, batch, path, dev, ino, sha256, uploader)
  VALUES (?, ?, ?, ?, ?, ?, ?)`
const FULFIL = 'DELETE FROM upload_intent WHERE id = ?'
const COUNT = `
  INSERT INTO file_usage (key, bytes) VALUES (?, ?)
  ON CONFLICT (key) DO UPDATE SET bytes = bytes + excluded.bytes`
const GET = 'SELECT path, fingerprint, sha256, uploader FROM file_index WHERE path = ?'
const BELOW = `
  SELECT path, fingerprint, sha256, uploader FROM file_index
  WHERE path > ? AND (? = '' OR path < ?) ORDER BY path LIMIT ?`
const REFUSE = 'INSERT OR REPLACE INTO file_refusal (path, sha256) VALUES (?, ?)'
const PARDON = 'DELETE FROM file_refusal WHERE path = ?'
const REFUSAL = 'SELECT sha256 FROM file_refusal WHERE path = ?'
const INTENTS = 'SELECT id, batch, path, dev, ino, sha256, uploader FROM upload_intent ORDER BY id'
const USAGE = 'SELECT key, bytes FROM file_usage'

const COUNT_PAGE = 10_000

export interface SqliteFileIndexOptions {
  /** How many entries, or the knowledge that there is none, are kept in memory. */
  readonly cacheEntries?: number
}

/** The index in the broker's database, in which the events that tell its changes may lie too. */
export class SqliteFileIndex implements FileIndex {
  readonly usage: UsageSums
  readonly versions: SqliteVersionRecords
  readonly #database: Database
  readonly #tell: TellChanges<Statement>
  readonly #recent: RecentEntries

  private constructor(
    database: Database,
    tell: TellChanges<Statement>,
    usage: UsageSums,
    { cacheEntries = 20_000 }: SqliteFileIndexOptions,
  ) {
    this.usage = usage
    this.#database = database
    this.versions = new SqliteVersionRecords(database)
    this.#tell = tell
    this.#recent = new RecentEntries(cacheEntries)
  }

  /** Makes the tables when they are not there. */
  static async open(
    database: Database,
    tell: TellChanges<Statement>,
    options: SqliteFileIndexOptions = {},
  ): Promise<SqliteFileIndex> {
    await database.commit(TABLES.map((sql) => ({ sql, rows: [[]] })))
    await addColumns(database)
    await database.commit([{ sql: BY_CONTENT, rows: [[]] }])
    const usage = await database.query<{ key: string; bytes: number }>(USAGE)
    const sums = new UsageSums(usage.map(({ key, bytes }) => [key, bytes]))
    const index = new SqliteFileIndex(database, tell, sums, options)
    if (usage.length === 0) await index.#countAll()
    return index
  }

  get(path: FilePath): Promise<IndexEntry | undefined> {
    return this.#recent.get(path, async () => {
      const [row] = await this.#database.query(GET, [path])
      return row === undefined ? undefined : entryOf(row)
    })
  }

  async below(directory: string, after: string, limit: number): Promise<readonly IndexEntry[]> {
    // All paths that begin with `directory/` come before `directory0`, the character after `/`.
    const [first, end] = directory === '' ? ['', ''] : [`${directory}/`, `${directory}0`]
    const from = comparePaths(after, first) > 0 ? after : first
    const rows = await this.#database.query(BELOW, [from, end, end, limit])
    return rows.map(entryOf)
  }

  async refusalOf(path: FilePath): Promise<string | undefined> {
    const [row] = await this.#database.query(REFUSAL, [path])
    return row === undefined ? undefined : String(row['sha256'])
  }

  async withContent(sha256: string, limit: number): Promise<readonly FilePath[]> {
    const rows = await this.#database.query(WITH_CONTENT, [sha256, limit])
    return rows.map(({ path }) => path as FilePath)
  }

  async apply(mutation: IndexMutation): Promise<readonly string[]> {
    const { put = [], remove = [], changes } = mutation
    const after = new Map<FilePath, IndexEntry | undefined>(remove.map((path) => [path, undefined]))
    for (const entry of put) after.set(entry.path, entry)
    const before = await this.#entries(after.keys())
    const usage = differences(changesOf(before, after))
    this.#recent.forget([...after.keys()])
    try {
      const positions = await this.#commit(changes, statementsOf(mutation, usage))
      for (const [path, entry] of after) this.#recent.set(path, entry)
      this.usage.add(usage)
      return positions
    } catch (error) {
      // Whether the commit came through is not certain: the database is asked.
      this.#recent.forget([...after.keys()])
      await this.#recount(before)
      throw error
    }
  }

  async intend(intent: UploadIntent): Promise<void> {
    const { id, batch, path, dev, ino, sha256, uploader = null } = intent
    const row = [id, batch, path, String(dev), String(ino), sha256, uploader]
    await this.#database.commit([{ sql: INTEND, rows: [row] }])
  }

  async openIntents(): Promise<readonly UploadIntent[]> {
    return (await this.#database.query(INTENTS)).map(intentOf)
  }

  async #entries(
    paths: Iterable<FilePath>,
  ): Promise<ReadonlyMap<FilePath, IndexEntry | undefined>> {
    const found = [...paths].map(async (path) => [path, await this.get(path)] as const)
    return new Map(await Promise.all(found))
  }

  /** Of a database from before there were sums. */
  async #countAll(): Promise<void> {
    const all = new Map<FilePath, readonly [undefined, IndexEntry]>()
    for (let after = ''; ; ) {
      const page = await this.below('', after, COUNT_PAGE)
      for (const entry of page) all.set(entry.path, [undefined, entry])
      after = page.at(-1)?.path ?? ''
      if (page.length < COUNT_PAGE) break
    }
    const usage = differences(all)
    if (usage.size === 0) return
    await this.#database.commit([{ sql: COUNT, rows: [...usage] }])
    this.usage.add(usage)
  }

  /** Brings the sums to what became of entries that were `before`. */
  async #recount(before: ReadonlyMap<FilePath, IndexEntry | undefined>): Promise<void> {
    try {
      this.usage.add(differences(changesOf(before, await this.#entries(before.keys()))))
    } catch {
      // Without the database nothing is written any more; the sums are read again with it.
    }
  }

  async #commit(
    changes: IndexMutation['changes'],
    statements: readonly Statement[],
  ): Promise<readonly string[]> {
    if (changes.length > 0) return this.#tell(changes, statements)
    if (statements.length > 0) await this.#database.commit(statements)
    return []
  }
}

/** To a database from before they were needed. */
async function addColumns(database: Database): Promise<void> {
  for (const [table, column, type] of LATER_COLUMNS) {
    const columns = await database.query('SELECT name FROM pragma_table_info(?)', [table])
    if (columns.some(({ name }) => name === column)) continue
    const sql = `ALTER TABLE ${table} ADD COLUMN ${column} ${type}`
    await database.commit([{ sql, rows: [[]] }])
  }
}

function changesOf(
  before: ReadonlyMap<FilePath, IndexEntry | undefined>,
  after: ReadonlyMap<FilePath, IndexEntry | undefined>,
): EntryChanges {
  return new Map([...after].map(([path, entry]) => [path, [before.get(path), entry]]))
}

function statementsOf(mutation: IndexMutation, usage: ReadonlyMap<string, number>): Statement[] {
  const { put = [], remove = [], fulfil = [], refuse = [], pardon = [] } = mutation
  const { keep = [], drop = [] } = mutation
  return [
    { sql: REMOVE, rows: remove.map((path) => [path]) },
    {
      sql: PUT,
      rows: put.map(({ path, fingerprint, sha256, uploader = null }) => [
        path,
        fingerprintText(fingerprint),
        sha256,
        uploader,
        fingerprint.size,
      ]),
    },
    { sql: COUNT, rows: [...usage] },
    { sql: FULFIL, rows: fulfil.map((id) => [id]) },
    { sql: PARDON, rows: pardon.map((path) => [path]) },
    { sql: REFUSE, rows: refuse.map(({ path, sha256 }) => [path, sha256]) },
    ...versionStatements(keep, drop),
  ].filter(({ rows }) => rows.length > 0)
}

function entryOf(row: Row): IndexEntry {
  return {
    path: row['path'] as FilePath,
    fingerprint: fingerprintFromText(String(row['fingerprint'])),
    sha256: String(row['sha256']),
    ...uploaderOf(row),
  }
}

function uploaderOf({ uploader }: Row): Pick<IndexEntry, 'uploader'> {
  return typeof uploader === 'string' ? { uploader } : {}
}

function intentOf(row: Row): UploadIntent {
  return {
    id: String(row['id']),
    batch: String(row['batch']),
    path: row['path'] as FilePath,
    dev: BigInt(String(row['dev'])),
    ino: BigInt(String(row['ino'])),
    sha256: String(row['sha256']),
    ...uploaderOf(row),
  }
}
