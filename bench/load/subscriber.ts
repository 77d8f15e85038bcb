import type { MessageCounter } from './message-counters.ts'

/** What holds a connection to a server and counts what it is given. */
export interface Subscriber {
  readonly counter: MessageCounter | undefined
  readonly isClosed: boolean
  open(): Promise<void>
  /** From now on what comes is counted. */
  count(counter: MessageCounter): void
  close(): void
  /** Reads nothing until `thaw`. */
  freeze?(): void
  thaw?(): void
}
