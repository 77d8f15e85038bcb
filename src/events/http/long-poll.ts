import type { FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { TopicFilter } from '../../protocol/topic-filter.ts'
import type { Connections } from '../delivery/connections.ts'
import { mayReceive } from '../delivery/may-receive.ts'
import type { LogReader, StoredEvent } from '../log/event-log.ts'
import { TopicMatcher } from '../log/topic-matcher.ts'

export interface PollServices {
  readonly log: LogReader
  readonly connections: Pick<Connections, 'add' | 'admit'>
}

/** What a page needs to know of a request. */
export type PollRequest = Pick<FastifyRequest, 'raw' | 'principal' | 'ip'>

/** A wait for an event, which counts as an open stream until it is disposed of. */
export interface LongPoll extends Disposable {
  /** Rejects with `CREDENTIAL_INVALID` as soon as the credential is removed. */
  readonly ended: Promise<PollEnd>
}

/** What is there for the client, as of one moment. */
export interface PollEnd {
  readonly principal: Principal
  /** Up to here nothing was committed that it waits for. */
  readonly after: number
  /** The head of the log. */
  readonly to: number
}

/**
 * Waits until something that `filter` asks for is committed, time is up, the client is gone or the broker is
 * stopping. It begins before the page is read, so that nothing that happens meanwhile is overlooked.
 *
 * @returns undefined when there is no time to wait
 * @throws {BrokerError} `TOO_MANY_REQUESTS`
 */
export function openLongPoll(
  { log, connections }: PollServices,
  { raw: { socket }, principal: asked, ip: address }: PollRequest,
  { filter, waitMs }: { readonly filter: TopicFilter; readonly waitMs: number },
): LongPoll | undefined {
  if (waitMs === 0) return undefined
  let principal = asked
  connections.admit(principal.user, address)
  const matcher = new TopicMatcher([filter])
  const { promise: ended, resolve, reject } = Promise.withResolvers<PollEnd>()
  // A page that is not empty is answered without it.
  ended.catch(() => {})
  const endAfter = (after: number) => resolve({ principal, after, to: log.head })
  const end = () => endAfter(log.head)
  const timer = setTimeout(end, waitMs)
  // A request without a body is at its end: only its connection tells that the client is gone.
  socket.once('close', end)
  // Its close was told before anybody listened.
  if (socket.destroyed) end()
  const registration = connections.add({
    get principal() {
      return principal
    },
    address,
    judge: (renewed) => {
      if (renewed === undefined) reject(new BrokerError('CREDENTIAL_INVALID', 'it was removed'))
      else principal = renewed
    },
    tick: () => {},
    drain: end,
  })
  const subscription = log.onCommit((events) => {
    const isWanted = ({ topic }: StoredEvent) =>
      matcher.matches(topic) && mayReceive(principal.rights, topic)
    const first = events.find(isWanted)
    if (first !== undefined) endAfter(first.offset - 1)
  })
  return {
    ended,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      socket.off('close', end)
      registration[Symbol.dispose]()
      subscription[Symbol.dispose]()
    },
  }
}
