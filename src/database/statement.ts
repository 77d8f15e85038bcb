/** What SQLite stores and returns here. Integers beyond 2^53 come back as bigint. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** One SQL statement and the rows of parameters it is run for, in order. */
export interface Statement {
  readonly sql: string
  readonly rows: readonly (readonly SqlValue[])[]
}

export type Row = Readonly<Record<string, SqlValue>>
