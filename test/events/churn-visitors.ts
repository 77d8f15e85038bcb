import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { Dealer, Subscriber } from 'zeromq'
import type { Started } from './churn-broker.ts'

/** How a visitor behaves. */
export type Manner = 'leaves cleanly' | 'breaks off' | 'breaks off at once' | 'never reads'

export const MANNERS: readonly Manner[] = [
  'leaves cleanly',
  'breaks off',
  'breaks off at once',
  'never reads',
]

/** Comes and subscribes; resolves with what makes it leave. */
export type Visit = (broker: Started, manner: Manner) => Promise<() => unknown>

/** Who does not stay to read it all has it all before it. */
function sinceOf(manner: Manner): string {
  return manner === 'never reads' || manner === 'breaks off at once' ? 'earliest' : 'latest'
}

export const VISITS: Readonly<Record<string, Visit>> = {
  session: (broker, manner) => visitWebSocket(broker, manner, '/ws'),
  WebSocket: (broker, manner) =>
    visitWebSocket(broker, manner, `/events/churn/**?since=${sinceOf(manner)}`),
  'server-sent events': (broker, manner) => visitStream(broker, manner, 'text/event-stream'),
  lines: (broker, manner) => visitStream(broker, manner, 'application/x-ndjson'),
  page: visitPage,
  DEALER: visitDealer,
  SUB: visitSub,
}

async function visitWebSocket(
  { url, token }: Started,
  manner: Manner,
  path: string,
): Promise<() => unknown> {
  const headers = { authorization: `Bearer ${token}` }
  const socket = new WebSocket(url.replace('http', 'ws') + path, { headers })
  socket.on('error', () => {})
  await once(socket, 'open')
  if (manner === 'never reads') socket.pause()
  if (path === '/ws') {
    const since = sinceOf(manner)
    socket.send(JSON.stringify({ op: 'subscribe', id: 1, filters: ['churn/**'], since }))
  }
  if (manner === 'breaks off at once') socket.terminate()
  return () => (manner === 'leaves cleanly' ? socket.close() : socket.terminate())
}

async function visitStream(
  { url, token }: Started,
  manner: Manner,
  accept: string,
): Promise<() => unknown> {
  const headers = { authorization: `Bearer ${token}`, accept }
  const request = get(`${url}/events/churn/**?since=${sinceOf(manner)}`, { agent: false, headers })
  request.on('error', () => {})
  if (manner === 'breaks off at once') {
    const [socket] = await once(request, 'socket')
    await once(socket, 'connect')
    setImmediate(() => request.destroy())
    return () => {}
  }
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  if (manner !== 'never reads') response.resume()
  return () => {
    if (manner === 'leaves cleanly') request.socket?.end()
    else request.socket?.resetAndDestroy()
  }
}

/** Whoever leaves cleanly or never reads has a page at once, the others wait for one. */
async function visitPage({ url, token }: Started, manner: Manner): Promise<() => unknown> {
  const hasPage = manner === 'leaves cleanly' || manner === 'never reads'
  const since = hasPage ? 'earliest' : 'latest'
  const headers = { authorization: `Bearer ${token}` }
  const page = `${url}/events/churn/**?wait=60&limit=1000&since=${since}`
  const request = get(page, { agent: false, headers })
  request.on('error', () => {})
  const [socket] = await once(request, 'socket')
  await once(socket, 'connect')
  if (manner === 'breaks off at once') {
    setImmediate(() => request.destroy())
    return () => {}
  }
  if (!hasPage) return () => request.socket?.resetAndDestroy()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  if (manner === 'never reads') return () => request.socket?.resetAndDestroy()
  response.resume()
  await once(response, 'end')
  return () => request.socket?.end()
}

async function visitDealer({ token, zmqSession }: Started, manner: Manner): Promise<() => unknown> {
  const socket = new Dealer({ linger: manner === 'leaves cleanly' ? -1 : 0 })
  socket.connect(zmqSession)
  await socket.send(['SUBSCRIBE', token, 'churn/**', sinceOf(manner)])
  if (manner === 'breaks off at once') {
    socket.close()
    return () => {}
  }
  if (manner === 'never reads') return () => socket.close()
  await socket.receive()
  return async () => {
    if (manner === 'leaves cleanly') await socket.send(['UNSUBSCRIBE', token, 'churn/**'])
    socket.close()
  }
}

/** Whoever never reads is closed with what came for it. */
async function visitSub({ token, zmqSubscribe }: Started, manner: Manner): Promise<() => unknown> {
  const socket = new Subscriber({ linger: 0, plainUsername: 'admin', plainPassword: token })
  const isThere = new Promise<void>((resolve) => socket.events.on('handshake', () => resolve()))
  socket.subscribe('churn/')
  socket.connect(zmqSubscribe)
  if (manner === 'breaks off at once') {
    socket.close()
    return () => {}
  }
  await isThere
  return () => {
    if (manner === 'leaves cleanly') socket.unsubscribe('churn/')
    socket.close()
  }
}
