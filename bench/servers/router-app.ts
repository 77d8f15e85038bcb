/** A peer: bare ROUTER that answers every command with the same bytes, and looks at none. */
import { Router } from 'zeromq'
import { answerCalls } from '../load/process-calls.ts'

const socket = new Router({ sendHighWaterMark: 0, sendTimeout: 0, linger: 0 })

const api = {
  async listen({ reply }: { reply: string }): Promise<number> {
    await socket.bind('tcp://127.0.0.1:0')
    void answerAll(reply)
    return Number(/:(\d+)$/.exec(socket.lastEndpoint ?? '')?.[1])
  },
}

/** What the process with the ROUTER socket can be asked for. */
export type RouterApp = typeof api

async function answerAll(reply: string): Promise<void> {
  // Without a bound on what waits a send is settled when it returns.
  for await (const [routingId] of socket) void socket.send([routingId ?? '', 'OK', reply])
}

answerCalls(api)
