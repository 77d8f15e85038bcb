import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'

/** What a door told, in its own words brought to these. */
export type Told =
  | { readonly event: Readonly<Record<string, unknown>>; readonly position: string }
  | { readonly position: string }

/** Where and as whom a client connects. */
export interface Address {
  readonly port: number
  readonly token: string
  readonly filter: string
}

/** Streams events after `since` until the connection is over, in whatever way; never rejects. */
export type OpenDoor = (
  address: Address,
  since: string,
  take: (told: Told) => void,
) => { readonly closed: Promise<void>; close(): void }

export const DOORS: Readonly<Record<string, OpenDoor>> = {
  session: (address, since, take) => {
    const { port, token, filter } = address
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ['broker.v1.json'], bearer(token))
    socket.on('open', () => {
      socket.send(JSON.stringify({ op: 'subscribe', id: 1, filters: [filter], since }))
    })
    return listen(socket, (message) => {
      if ('specversion' in message) take(eventOf(message))
      else if (message['op'] === 'position') take({ position: String(message['position']) })
    })
  },
  'plain WebSocket': ({ port, token, filter }, since, take) => {
    const url = `ws://127.0.0.1:${port}/events/${filter}?since=${since}`
    const socket = new WebSocket(url, bearer(token))
    return listen(socket, (message) => take(eventOf(message)))
  },
  'server-sent events': (address, since, take) =>
    stream(address, since, 'text/event-stream', '\n\n', (block) => {
      const id = /^id: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)?.[1]
      if (data !== undefined) take({ event: JSON.parse(data), position: String(id) })
      else if (id !== undefined) take({ position: id })
    }),
  'long polls': poll,
  lines: (address, since, take) =>
    stream(address, since, 'application/x-ndjson', '\n', (line) => take(eventOf(JSON.parse(line)))),
}

function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } }
}

function eventOf(event: Readonly<Record<string, unknown>>): Told {
  return { event, position: String(event['position']) }
}

function listen(socket: WebSocket, take: (message: Readonly<Record<string, unknown>>) => void) {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('message', (data) => take(JSON.parse(String(data))))
  socket.on('error', () => {})
  socket.on('close', () => resolve())
  return { closed: promise, close: () => socket.terminate() }
}

function stream(
  { port, token, filter }: Address,
  since: string,
  accept: string,
  separator: string,
  take: (record: string) => void,
) {
  const { headers } = bearer(token)
  const request = get({
    ...{ host: '127.0.0.1', port, path: `/events/${filter}?since=${since}`, agent: false },
    headers: { ...headers, accept },
  })
  const read = async (): Promise<void> => {
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) {
        const records = (text + chunk).split(separator)
        text = records.pop() ?? ''
        for (const record of records) take(record)
      }
    } catch {
      // It broke: what came whole counts, the rest comes again.
    } finally {
      request.destroy()
    }
  }
  request.on('error', () => {})
  return { closed: read(), close: () => request.destroy() }
}

/** Page after page; each waits for its first event. */
function poll({ port, token, filter }: Address, since: string, take: (told: Told) => void) {
  const aborted = new AbortController()
  const read = async (): Promise<void> => {
    try {
      for (let at = since; ; ) {
        const url = `http://127.0.0.1:${port}/events/${filter}?since=${at}&wait=20&limit=50`
        const { signal } = aborted
        const response = await fetch(url, { ...bearer(token), signal })
        const { events, position } = (await response.json()) as {
          readonly events: readonly Readonly<Record<string, unknown>>[]
          readonly position: string
        }
        for (const event of events) take(eventOf(event))
        take({ position })
        at = position
      }
    } catch {
      // It broke: a page that did not come whole is asked for again.
    }
  }
  return { closed: read(), close: () => aborted.abort() }
}
