import type { Sink } from './sink.ts'

/** A connection with more unsent bytes than this is served from the log, not from memory. */
export const MAX_BACKLOG_BYTES = 1024 * 1024

/** A connection of which nothing is taken for this long, while something waits, is ended. */
const MAX_STALL_MS = 30_000

/** Resolves when a socket is ready for more. */
export async function drained(sink: Pick<Sink, 'backlogBytes' | 'onceDrained'>): Promise<void> {
  if (sink.backlogBytes <= MAX_BACKLOG_BYTES / 2) return
  await new Promise<void>((resolve) => sink.onceDrained(resolve))
}

/** Notices a peer that takes nothing, be it however little that waits for it. */
export class StallWatch {
  #taken = 0
  #since = performance.now()

  /** Looked at once a second; true when it is time to end the connection. */
  isStalled({ backlogBytes, takenBytes }: Pick<Sink, 'backlogBytes' | 'takenBytes'>): boolean {
    const now = performance.now()
    if (backlogBytes === 0 || takenBytes !== this.#taken) {
      this.#taken = takenBytes
      this.#since = now
    }
    return now - this.#since > MAX_STALL_MS
  }
}
