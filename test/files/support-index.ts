import { Database } from '../../src/database/database.ts'
import type { Statement } from '../../src/database/statement.ts'
import type { FileChange } from '../../src/files/file-change.ts'
import type { TellChanges } from '../../src/files/index/file-index.ts'
import { MemoryFileIndex } from '../../src/files/index/memory-file-index.ts'
import { SqliteFileIndex } from '../../src/files/index/sqlite-file-index.ts'
import type { IndexUnderTest } from '../contract/file-index.ts'

/** Keeps what is told in memory. */
export class MemoryTeller {
  readonly changes: FileChange[] = []
  #fails = false

  failNext(): void {
    this.#fails = true
  }

  readonly tell: TellChanges<never> = (changes) => {
    if (this.#fails) {
      this.#fails = false
      return Promise.reject(new Error('cannot tell'))
    }
    const positions = changes.map((change) => `t:${this.changes.push(change)}`)
    return Promise.resolve(positions)
  }
}

export function openMemoryIndex(): Promise<IndexUnderTest & { readonly index: MemoryFileIndex }> {
  const teller = new MemoryTeller()
  return Promise.resolve({
    index: new MemoryFileIndex(teller.tell),
    told: () => Promise.resolve(teller.changes),
    failNextTell: () => teller.failNext(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
}

/** Tells into a table of the same database, in the transaction of the index. */
export async function openSqliteIndex(file = ':memory:'): Promise<IndexUnderTest> {
  const database = await Database.open(file)
  const sql = 'CREATE TABLE IF NOT EXISTS told (offset INTEGER PRIMARY KEY, change TEXT NOT NULL)'
  await database.commit([{ sql, rows: [[]] }])
  const [last] = await database.query('SELECT coalesce(max(offset), 0) AS last FROM told')
  let offset = Number(last?.['last'])
  let fails = false
  const tell: TellChanges<Statement> = async (changes, companions) => {
    const rows = changes.map((change) => [++offset, JSON.stringify(change)])
    const wrong = fails ? [{ sql: 'INSERT INTO told VALUES (1, NULL)', rows: [[]] }] : []
    fails = false
    const told = { sql: 'INSERT INTO told (offset, change) VALUES (?, ?)', rows }
    await database.commit([...companions, told, ...wrong])
    return rows.map(([position]) => `t:${position}`)
  }
  return {
    index: await SqliteFileIndex.open(database, tell, { cacheEntries: 4 }),
    told: async () => {
      const rows = await database.query('SELECT change FROM told ORDER BY offset')
      return rows.map((row) => JSON.parse(String(row['change'])) as FileChange)
    },
    failNextTell: () => {
      fails = true
    },
    [Symbol.asyncDispose]: () => database.close(),
  }
}
