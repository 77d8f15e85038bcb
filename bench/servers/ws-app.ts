/** A peer: a program with bare `ws` that takes NDJSON and sends each line to everybody. */
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { WebSocketServer } from 'ws'
import { answerCalls } from '../load/process-calls.ts'
import { listenAnywhere } from './app-port.ts'

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })

const server = createServer(async (request, response) => {
  const lines = (await buffer(request)).toString().split('\n').filter(Boolean)
  for (const line of lines) {
    const message = Buffer.from(line)
    for (const client of sockets.clients) client.send(message, { binary: false })
  }
  response.writeHead(201).end('{}')
})
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client))
})

const api = { listen: (_: undefined): Promise<number> => listenAnywhere(server) }

/** What a process with an app of the bench can be asked for. */
export type App = typeof api

answerCalls(api)
