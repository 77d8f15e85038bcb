import type { MessagePort } from 'node:worker_threads'
import type { Row, SqlValue, Statement } from './statement.ts'

export type DatabaseRequest =
  | { readonly commit: readonly Statement[] }
  | { readonly query: string; readonly values: readonly SqlValue[] }
  | { readonly close: true }

/** What is sent to the thread of the database together, and answered together, in its order. */
export interface RequestGroup {
  readonly number: number
  readonly requests: readonly DatabaseRequest[]
}

/** A copy of the database to be made while it is in use; answered on a port of its own. */
export interface CopyRequest {
  readonly path: string
  readonly reply: MessagePort
}

export interface DatabaseReply {
  readonly rows?: readonly Row[]
  readonly error?: string
}

export interface DatabaseThreadData {
  readonly path: string
  /** To the other thread: the number of each group with a commit, once it is written. */
  readonly written: MessagePort
}

export interface JournalThreadData {
  /** The descriptor of the journal; undefined for a database in memory. */
  readonly journal: number | undefined
  readonly written: MessagePort
}
