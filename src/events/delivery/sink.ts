import type { CloseReason } from '../../protocol/close-codes.ts'
import type { Batch } from './batch.ts'
import type { Encoding } from './encoding.ts'

/** How a subscriber is reached, as operators see it. */
export type Transport = 'websocket' | 'sse' | 'ndjson' | 'zmq'

/** Where a stream's events go: one socket, seen without its protocol. */
export interface Sink {
  readonly encoding: Encoding
  /** Undefined where no subscriber is: another process counts its own. */
  readonly transport: Transport | undefined
  /** True when the connection can be told why it ends and the client can come back to its position. */
  readonly isResumable: boolean
  /** Bytes accepted and not yet taken by the kernel. */
  readonly backlogBytes: number
  /** Bytes that the kernel has taken since the start. */
  readonly takenBytes: number
  /** Writes without waiting. */
  deliver(batch: Batch): void
  /** Calls back once, when the backlog is gone or the connection is. */
  onceDrained(callback: () => void): void
  /** Tells how far a quiet stream has come; does nothing where the transport cannot. */
  position(position: string): void
  /** Ends the connection; `detail` says why in words, where the transport can. */
  end(reason: CloseReason, detail?: string): void
}
