import type { FastifyBaseLogger } from 'fastify'

export type ZmqLogger = Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>

/** What was turned away, dropped or done again since the start. */
export interface ZmqCounters {
  /** Connections that were refused their credential or lacked a grant. */
  refusedConnections: number
  /** Times a subscribe endpoint was bound anew, because somebody on it lost the right to be there, or too much was subscribed to. */
  rebinds: number
  /**
   * Times that a subscribe endpoint could not send an event as fast as they came, to all or to somebody who
   * was full. What that one misses until it has read, libzmq does not say.
   */
  droppedEvents: number
  /** Commands that were answered with a problem. */
  failedCommands: number
  /** Commands that were refused unread, because too many were waiting. */
  refusedCommands: number
  /** Peers whose subscriptions the broker ended. */
  endedSubscriptions: number
  /** Peers that were given up with replies unread, because they took nothing for long. */
  stalledPeers: number
}

export function zeroCounters(): ZmqCounters {
  return {
    refusedConnections: 0,
    rebinds: 0,
    droppedEvents: 0,
    failedCommands: 0,
    refusedCommands: 0,
    endedSubscriptions: 0,
    stalledPeers: 0,
  }
}

/** A user name as it was claimed, fit for a log: people put tokens into the wrong field. */
export function claimedUser(name: string): string {
  return /^(?!dbk_)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) ? name : '(not a user name)'
}
