import { setTimeout as delay } from 'node:timers/promises'

/** The receiving side of a ZeroMQ socket. */
export interface Receiver {
  readonly closed: boolean
  receive(): Promise<Buffer[]>
}

/** After a receive that failed although the socket is open, so that the loop cannot spin. */
const FAILURE_PAUSE_MS = 100

/**
 * Hands every message to `handle`, one after another, until the socket is closed. Nothing that arrives and
 * nothing that fails ends it: what is thrown goes to `onError`.
 */
export async function receiveUntilClosed(
  socket: Receiver,
  handle: (frames: readonly Buffer[]) => void | Promise<void>,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!socket.closed) {
    let frames: readonly Buffer[]
    try {
      frames = await socket.receive()
    } catch (error) {
      // Closing rejects the receive that is pending.
      if (socket.closed) return
      onError(error)
      await delay(FAILURE_PAUSE_MS)
      continue
    }
    try {
      const pending = handle(frames)
      if (pending !== undefined) await pending
    } catch (error) {
      onError(error)
    }
  }
}
