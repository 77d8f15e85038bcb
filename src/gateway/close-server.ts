import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

const SWEEP_MS = 100

/** What closes a server as soon as its requests have ended. */
export interface ServerCloser {
  close(): Promise<void>
}

/**
 * Closing waits for every connection. One that becomes idle meanwhile would be kept for its next request, and
 * one that was opened ahead and never used, as browsers do, counts as busy to Node: both are closed here.
 */
export function closerOf(app: FastifyInstance): ServerCloser {
  const { server } = app
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    close: async () => {
      const sweep = setInterval(() => closeIdle(server, sockets), SWEEP_MS)
      try {
        await app.close()
      } finally {
        clearInterval(sweep)
      }
    },
  }
}

function closeIdle(server: Server, sockets: ReadonlySet<Socket>): void {
  server.closeIdleConnections()
  for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
}
