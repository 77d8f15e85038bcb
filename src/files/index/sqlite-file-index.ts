import type { Database, Row, Statement } from '../../database/database.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import type { Fingerprint } from '../fingerprint.ts'
import { comparePaths } from '../path-order.ts'
import type {
  FileIndex,
  IndexEntry,
  IndexMutation,
  TellChanges,
  UploadIntent,
} from './file-index.ts'
import { RecentEntries } from './recent-entries.ts'

/**
 * A fingerprint is one text: its numbers pass 2^53, which SQLite's reader would refuse, and are only
 * ever compared as a whole.
 */
const TABLES = `
  CREATE TABLE IF NOT EXISTS file_index (
    path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, sha256 TEXT NOT NULL
  ) WITHOUT ROWID`
const INTENT_TABLE = `
  CREATE TABLE IF NOT EXISTS upload_intent (
    id TEXT PRIMARY KEY, batch TEXT NOT NULL, path TEXT NOT NULL,
    dev TEXT NOT NULL, ino TEXT NOT NULL, sha256 TEXT NOT NULL
  ) WITHOUT ROWID`
const REFUSAL_TABLE = `
  CREATE TABLE IF NOT EXISTS file_refusal (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID`
// By the database, so that a write which knows of no refusal costs no statement.
const ACCEPTED = `
  CREATE TRIGGER IF NOT EXISTS file_accepted AFTER INSERT ON file_index
  BEGIN DELETE FROM file_refusal WHERE path = new.path; END`
const GONE = `
  CREATE TRIGGER IF NOT EXISTS file_gone AFTER DELETE ON file_index
  BEGIN DELETE FROM file_refusal WHERE path = old.path; END`
const PUT = 'INSERT OR REPLACE INTO file_index (path, fingerprint, sha256) VALUES (?, ?, ?)'
const REMOVE = 'DELETE FROM file_index WHERE path = ?'
const INTEND =
  'INSERT INTO upload_intent (id, batch, path, dev, ino, sha256) VALUES (?, ?, ?, ?, ?, ?)'
const FULFIL = 'DELETE FROM upload_intent WHERE id = ?'
const GET = 'SELECT path, fingerprint, sha256 FROM file_index WHERE path = ?'
const BELOW = `
  SELECT path, fingerprint, sha256 FROM file_index
  WHERE path > ? AND (? = '' OR path < ?) ORDER BY path LIMIT ?`
const REFUSE = 'INSERT OR REPLACE INTO file_refusal (path, sha256) VALUES (?, ?)'
const PARDON = 'DELETE FROM file_refusal WHERE path = ?'
const REFUSAL = 'SELECT sha256 FROM file_refusal WHERE path = ?'
const INTENTS = 'SELECT id, batch, path, dev, ino, sha256 FROM upload_intent ORDER BY id'

export interface SqliteFileIndexOptions {
  /** How many entries, or the knowledge that there is none, are kept in memory. */
  readonly cacheEntries?: number
}

/** The index in the broker's database, in which the events that tell its changes may lie too. */
export class SqliteFileIndex implements FileIndex {
  readonly #database: Database
  readonly #tell: TellChanges<Statement>
  readonly #recent: RecentEntries

  private constructor(
    database: Database,
    tell: TellChanges<Statement>,
    { cacheEntries = 20_000 }: SqliteFileIndexOptions,
  ) {
    this.#database = database
    this.#tell = tell
    this.#recent = new RecentEntries(cacheEntries)
  }

  /** Makes the tables when they are not there. */
  static async open(
    database: Database,
    tell: TellChanges<Statement>,
    options: SqliteFileIndexOptions = {},
  ): Promise<SqliteFileIndex> {
    const definitions = [TABLES, INTENT_TABLE, REFUSAL_TABLE, ACCEPTED, GONE]
    await database.commit(definitions.map((sql) => ({ sql, rows: [[]] })))
    return new SqliteFileIndex(database, tell, options)
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

  async apply(mutation: IndexMutation): Promise<readonly string[]> {
    const { put = [], remove = [], changes } = mutation
    const paths = [...remove, ...put.map(({ path }) => path)]
    this.#recent.forget(paths)
    try {
      const positions = await this.#commit(changes, statementsOf(mutation))
      for (const path of remove) this.#recent.set(path, undefined)
      for (const entry of put) this.#recent.set(entry.path, entry)
      return positions
    } catch (error) {
      // Whether the commit came through is not certain: the next reader asks.
      this.#recent.forget(paths)
      throw error
    }
  }

  async intend(intent: UploadIntent): Promise<void> {
    const { id, batch, path, dev, ino, sha256 } = intent
    const row = [id, batch, path, String(dev), String(ino), sha256]
    await this.#database.commit([{ sql: INTEND, rows: [row] }])
  }

  async openIntents(): Promise<readonly UploadIntent[]> {
    return (await this.#database.query(INTENTS)).map(intentOf)
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

function statementsOf(mutation: IndexMutation): Statement[] {
  const { put = [], remove = [], fulfil = [], refuse = [], pardon = [] } = mutation
  return [
    { sql: REMOVE, rows: remove.map((path) => [path]) },
    {
      sql: PUT,
      rows: put.map(({ path, fingerprint, sha256 }) => [path, textOf(fingerprint), sha256]),
    },
    { sql: FULFIL, rows: fulfil.map((id) => [id]) },
    { sql: PARDON, rows: pardon.map((path) => [path]) },
    { sql: REFUSE, rows: refuse.map(({ path, sha256 }) => [path, sha256]) },
  ].filter(({ rows }) => rows.length > 0)
}

function textOf({ dev, ino, size, mtimeNs, ctimeNs }: Fingerprint): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

function entryOf(row: Row): IndexEntry {
  const [dev, ino, size, mtimeNs, ctimeNs] = String(row['fingerprint']).split(':')
  return {
    path: row['path'] as FilePath,
    fingerprint: {
      dev: BigInt(dev ?? 0),
      ino: BigInt(ino ?? 0),
      size: Number(size),
      mtimeNs: BigInt(mtimeNs ?? 0),
      ctimeNs: BigInt(ctimeNs ?? 0),
    },
    sha256: String(row['sha256']),
  }
}

function intentOf(row: Row): UploadIntent {
  return {
    id: String(row['id']),
    batch: String(row['batch']),
    path: row['path'] as FilePath,
    dev: BigInt(String(row['dev'])),
    ino: BigInt(String(row['ino'])),
    sha256: String(row['sha256']),
  }
}
