import type { Sink } from './sink.ts'

/** A connection with more unsent bytes than this is served from the log, not from memory. */
export const MAX_BACKLOG_BYTES = 1024 * 1024

/** A connection that takes not one byte for this long is ended. */
const MAX_STALL_MS = 30_000

/** Waits until a socket is ready for more; `onStall` ends one that takes nothing. */
export async function drained(
  sink: Pick<Sink, 'backlogBytes' | 'onceDrained'>,
  onStall: () => void,
): Promise<void> {
  if (sink.backlogBytes <= MAX_BACKLOG_BYTES / 2) return
  const { promise, resolve } = Promise.withResolvers<void>()
  let before = sink.backlogBytes
  const timer = setInterval(() => {
    const isStalled = sink.backlogBytes >= before
    before = sink.backlogBytes
    if (isStalled) onStall()
  }, MAX_STALL_MS)
  sink.onceDrained(resolve)
  await promise
  clearInterval(timer)
}
