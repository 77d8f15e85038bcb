/** The ceiling: a process that writes the same bytes to the same number of sockets, and does nothing else. */
import { createServer, type Socket } from 'node:net'
import { payloadOf } from '../load/payload.ts'
import { answerCalls } from '../load/process-calls.ts'
import { clockMs } from '../measure/clock.ts'

const sockets = new Set<Socket>()

const ANSWER =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'

const server = createServer({ noDelay: true }, (socket) => {
  socket.once('data', () => {
    sockets.add(socket)
    socket.write(ANSWER)
  })
  socket.on('error', () => {})
  socket.on('close', () => sockets.delete(socket))
})

let batches: Buffer[] = []

const api = {
  listen(_: undefined): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
    return promise
  },

  /** Makes `messages` text frames of `bytes` bytes each, `together` in one write. */
  prepare({
    messages,
    bytes,
    together,
  }: {
    messages: number
    bytes: number
    together: number
  }): void {
    batches = []
    for (let at = 0; at < messages; at += together) {
      const frames = Array.from({ length: Math.min(together, messages - at) }, (_, i) => {
        const header = Buffer.from([0x81, 126, bytes >> 8, bytes & 0xff])
        return Buffer.concat([
          header,
          Buffer.from(payloadOf({ publisher: 0, number: at + i }, bytes)),
        ])
      })
      batches.push(Buffer.concat(frames))
    }
  },

  /** Writes each batch to every socket that has taken the last ones. */
  async send(_: undefined): Promise<{ startedMs: number }> {
    const startedMs = clockMs()
    const backlogs = [...sockets].map((socket) => ({ socket, next: 0 }))
    for (let unfinished = backlogs; unfinished.length > 0; ) {
      for (const backlog of unfinished) {
        const batch = batches[backlog.next]
        if (batch === undefined || backlog.socket.writableLength > 0) continue
        backlog.socket.write(batch)
        backlog.next += 1
      }
      await new Promise((resolve) => setImmediate(resolve))
      unfinished = unfinished.filter(({ next }) => next < batches.length)
    }
    return { startedMs }
  },
}

/** What the process of the null sender can be asked for. */
export type NullSender = typeof api

answerCalls(api)
