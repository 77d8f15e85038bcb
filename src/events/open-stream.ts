import type { Connections } from './delivery/connections.ts'
import type { Delivery } from './delivery/delivery.ts'
import type { Sink } from './delivery/sink.ts'
import { QUIET_MS, Stream } from './delivery/stream.ts'
import type { LogReader } from './log/event-log.ts'
import type { Opening } from './opening.ts'

/** What the doors of streams share. */
export interface StreamServices {
  readonly log: LogReader
  readonly delivery: Delivery
  readonly connections: Pick<Connections, 'add' | 'admit'>
}

/** A stream that is counted, judged and drained with all others until it is disposed of. */
export interface OpenStream extends Disposable {
  readonly stream: Stream
}

/**
 * Opens the stream of a door that takes no commands.
 *
 * @param heartbeat - of the transport, once a second
 */
export function openStream(
  { log, delivery, connections }: StreamServices,
  { principal, address }: Opening,
  sink: Sink,
  heartbeat: () => void = () => {},
): OpenStream {
  const stream = new Stream({ log, delivery, sink }, principal)
  const registration = connections.add({
    get principal() {
      return stream.principal
    },
    address,
    judge: (judged) => stream.judge(judged),
    tick: () => {
      heartbeat()
      stream.tick(QUIET_MS)
    },
    drain: () => sink.end('serviceRestart'),
  })
  return {
    stream,
    [Symbol.dispose]: () => {
      stream[Symbol.dispose]()
      registration[Symbol.dispose]()
    },
  }
}
