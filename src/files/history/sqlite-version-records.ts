import type { Database } from '../../database/database.ts'
import type { Row, Statement } from '../../database/statement.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { fingerprintFromText, fingerprintText } from '../fingerprint.ts'
import { comparePaths } from '../path-order.ts'
import type { FileVersion, VersionRecords, VersionUsage } from './version-records.ts'

/** `size` stands apart from the fingerprint to be summed. */
export const VERSION_TABLE = `
  CREATE TABLE IF NOT EXISTS file_version (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, fingerprint TEXT NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL, uploader TEXT, replaced INTEGER NOT NULL, deleted INTEGER NOT NULL
  ) STRICT`
export const VERSION_ORDER =
  'CREATE INDEX IF NOT EXISTS file_version_path ON file_version (path, replaced DESC)'

const KEEP = `
  INSERT OR REPLACE INTO file_version
    (id, path, fingerprint, size, sha256, uploader, replaced, deleted)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
const DROP = 'DELETE FROM file_version WHERE id = ?'
const OF = 'SELECT * FROM file_version WHERE path = ? ORDER BY replaced DESC'
const BELOW = `
  SELECT * FROM file_version WHERE path IN (
    SELECT DISTINCT path FROM file_version
    WHERE path > ? AND (? = '' OR path < ?) ORDER BY path LIMIT ?
  ) ORDER BY path, replaced DESC`
const USAGE = 'SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM file_version'

/** What is kept and dropped, for the transaction of a mutation. */
export function versionStatements(
  keep: readonly FileVersion[],
  drop: readonly string[],
): readonly Statement[] {
  return [
    { sql: DROP, rows: drop.map((id) => [id]) },
    {
      sql: KEEP,
      rows: keep.map(({ id, path, fingerprint, sha256, uploader = null, replacedMs, deleted }) => [
        id,
        path,
        fingerprintText(fingerprint),
        fingerprint.size,
        sha256,
        uploader,
        replacedMs,
        deleted ? 1 : 0,
      ]),
    },
  ]
}

/** In the broker's database, beside the index. */
export class SqliteVersionRecords implements VersionRecords {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async of(path: FilePath): Promise<readonly FileVersion[]> {
    return (await this.#database.query(OF, [path])).map(versionOf)
  }

  async below(directory: string, after: string, paths: number): Promise<readonly FileVersion[]> {
    // All paths that begin with `directory/` come before `directory0`, the character after `/`.
    const [first, end] = directory === '' ? ['', ''] : [`${directory}/`, `${directory}0`]
    const from = comparePaths(after, first) > 0 ? after : first
    return (await this.#database.query(BELOW, [from, end, end, paths])).map(versionOf)
  }

  async usage(): Promise<VersionUsage> {
    const [row] = await this.#database.query(USAGE)
    return { count: Number(row?.['count'] ?? 0), bytes: Number(row?.['bytes'] ?? 0) }
  }
}

function versionOf(row: Row): FileVersion {
  return {
    id: String(row['id']),
    path: row['path'] as FilePath,
    fingerprint: fingerprintFromText(String(row['fingerprint'])),
    sha256: String(row['sha256']),
    ...(typeof row['uploader'] === 'string' && { uploader: row['uploader'] }),
    replacedMs: Number(row['replaced']),
    deleted: row['deleted'] === 1,
  }
}
