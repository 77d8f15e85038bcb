/** A peer: a program with Socket.IO that takes NDJSON and sends each line to everybody. */
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { Server } from 'socket.io'
import { answerCalls } from '../load/process-calls.ts'
import { listenAnywhere } from './app-port.ts'

const server = createServer(async (request, response) => {
  if (request.url !== '/') return
  const lines = (await buffer(request)).toString().split('\n').filter(Boolean)
  for (const line of lines) io.emit('event', JSON.parse(line))
  response.writeHead(201).end('{}')
})
const io = new Server(server, { transports: ['websocket'] })

answerCalls({ listen: (_: undefined): Promise<number> => listenAnywhere(server) })
