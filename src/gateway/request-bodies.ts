import { Readable } from 'node:stream'
import type { FastifyInstance, RequestPayload } from 'fastify'
import { BrokerError } from '../protocol/problem.ts'

/** For 16 MiB that is 140 KB/s: less than any line that is of use to a publisher. */
export const BODY_TIMEOUT_MS = 120_000

/**
 * What every body is held to before its route reads it, in one hook: each costs every request.
 *
 * Bodies that are gathered before they are used must be whole in time: each that is dribbled holds a
 * connection, and up to 16 MiB, for as long as its sender likes. Those that stream are left to their route.
 *
 * A body whose type is stated and which cannot come, for the request says nothing of its length, is empty.
 * Its own stream has ended already (`optimizeEmptyRequests`) and tells nobody: a reader would wait for ever.
 *
 * @param streams - matches the paths of bodies that stream
 */
export function holdBodies(app: FastifyInstance, streams: RegExp, timeoutMs: number): void {
  let begun: RequestPayload[] = []
  app.addHook('preParsing', ({ headers, raw }, _reply, payload, done) => {
    const { 'content-length': length, 'transfer-encoding': coding, 'content-type': type } = headers
    const canCome = length !== undefined || coding !== undefined
    if (canCome && !streams.test(raw.url ?? '')) {
      if (begun.length === 0) setImmediate(limitOthers)
      begun.push(payload)
    }
    done(null, canCome || type === undefined ? payload : Readable.from([]))
  })

  /** Most bodies come with their heads, and are whole by now: a timer for each would cost 3% of a publish. */
  function limitOthers(): void {
    const late = begun.filter(({ readableEnded, destroyed }) => !readableEnded && !destroyed)
    begun = []
    for (const payload of late) limit(payload, timeoutMs)
  }
}

function limit(payload: RequestPayload, timeoutMs: number): void {
  const timer = setTimeout(() => {
    // Destroyed, it would take the connection with it, and the answer.
    if (payload.listenerCount('error') > 0) payload.emit('error', tooSlow(timeoutMs))
  }, timeoutMs).unref()
  payload.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer))
}

function tooSlow(timeoutMs: number): BrokerError {
  const detail = `the body must be whole within ${timeoutMs / 1000} seconds`
  return new BrokerError('REQUEST_TIMEOUT', detail)
}
