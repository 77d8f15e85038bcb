/** A peer: bare XPUB that sends ready-made events, and neither takes nor keeps any. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { XPublisher } from 'zeromq'
import { payloadOf } from '../load/payload.ts'
import { answerCalls } from '../load/process-calls.ts'
import { clockMs } from '../measure/clock.ts'

/** Sent in one turn of the loop. */
const TURN_EVENTS = 500

// Without a bound on what waits: it would drop messages.
const socket = new XPublisher({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })
let events: Buffer[] = []

const api = {
  async listen(_: undefined): Promise<number> {
    await socket.bind('tcp://127.0.0.1:0')
    return Number(/:(\d+)$/.exec(socket.lastEndpoint ?? '')?.[1])
  },

  prepare({ messages, bytes }: { messages: number; bytes: number }): void {
    events = Array.from({ length: messages }, (_, number) =>
      Buffer.from(payloadOf({ publisher: 0, number }, bytes)),
    )
  },

  async send({ topic }: { topic: string }): Promise<{ startedMs: number }> {
    const startedMs = clockMs()
    for (const [index, event] of events.entries()) {
      // Without a bound it is settled when it returns.
      void socket.send([topic, event])
      if (index % TURN_EVENTS === TURN_EVENTS - 1) await nextTurn()
    }
    return { startedMs }
  },
}

/** What the process with the XPUB socket can be asked for. */
export type XpubApp = typeof api

answerCalls(api)

for await (const _ of socket) {
  // What subscribers send is of no interest, but unread it would pile up.
}
