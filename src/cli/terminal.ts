import type { Readable } from 'node:stream'
import type { Output } from './output.ts'

/** What a command has of the world around the process. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv
  /** Aborted by SIGINT and SIGTERM. Who never asks for it leaves signals alone. */
  readonly signal: AbortSignal
  readonly stdin: Readable
  /** Data, and nothing else. */
  readonly output: Output
  /** Everything else. */
  readonly messages: Messages
}

export interface Messages {
  /** True when a person is likely to watch. */
  readonly isInteractive: boolean
  readonly columns: number
  write(text: string): void
}
