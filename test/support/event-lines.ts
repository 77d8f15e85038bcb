import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { Dealer } from 'zeromq'
import { WakeUp } from './wake-up.ts'

/** Where events are asked for, and as whom. */
export interface LinesAddress {
  readonly url: string
  readonly token: string
  readonly filter: string
  /** Of the session endpoint; without it there is no such door. */
  readonly zmqSession?: string
}

/** The texts of events as one door brings them, nothing parsed. */
export class EventLines implements AsyncDisposable {
  readonly door: string
  readonly lines: string[] = []
  readonly #changed = new WakeUp()
  readonly #close: () => unknown

  constructor(door: string, close: () => unknown) {
    this.door = door
    this.#close = close
  }

  add(bytes: Uint8Array): void {
    // A byte that is not UTF-8 must not be smoothed over.
    this.lines.push(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
    this.#changed.wake()
  }

  async until(count: number): Promise<readonly string[]> {
    while (this.lines.length < count) await this.#changed.next()
    return this.lines
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}

/** Subscribes at every door; resolves when what is published from now on reaches all of them. */
export function openEveryDoor(address: LinesAddress): Promise<EventLines[]> {
  const { zmqSession } = address
  return Promise.all([
    openSession(address),
    openWebSocket(address),
    openStream(address, 'text/event-stream', '\n\n', /^id: .*\ndata: /),
    openStream(address, 'application/x-ndjson', '\n', /^/),
    ...(zmqSession === undefined ? [] : [openDealer(address, zmqSession)]),
  ])
}

function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } }
}

async function openSession({ url, token, filter }: LinesAddress): Promise<EventLines> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, bearer(token))
  const lines = new EventLines('session', () => socket.terminate())
  const subscribed = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    if (data.subarray(0, 6).toString() !== '{"op":') lines.add(data)
    else if (data.toString().includes('"recovered"')) subscribed.resolve()
  })
  await once(socket, 'open')
  socket.send(JSON.stringify({ op: 'subscribe', id: 1, filters: [filter] }))
  await subscribed.promise
  return lines
}

async function openWebSocket({ url, token, filter }: LinesAddress): Promise<EventLines> {
  const address = `${url.replace('http', 'ws')}/events/${filter}`
  const socket = new WebSocket(address, ['cloudevents.json'], bearer(token))
  const lines = new EventLines('WebSocket', () => socket.terminate())
  socket.on('message', (data: Buffer) => lines.add(data))
  await once(socket, 'open')
  return lines
}

async function openStream(
  { url, token, filter }: LinesAddress,
  accept: string,
  separator: string,
  prefix: RegExp,
): Promise<EventLines> {
  const { headers } = bearer(token)
  const request = get(`${url}/events/${filter}`, { agent: false, headers: { ...headers, accept } })
  const lines = new EventLines(accept, () => request.destroy())
  request.on('error', () => {})
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let rest = Buffer.alloc(0)
  response.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(separator); end >= 0; end = rest.indexOf(separator)) {
      const record = rest.subarray(0, end).toString('latin1')
      rest = rest.subarray(end + separator.length)
      const line = record.replace(prefix, '')
      if (line.startsWith('{')) lines.add(Buffer.from(line, 'latin1'))
    }
  })
  response.on('error', () => {})
  return lines
}

async function openDealer({ token, filter }: LinesAddress, endpoint: string): Promise<EventLines> {
  const socket = new Dealer({ linger: 0 })
  socket.connect(endpoint)
  await socket.send(['SUBSCRIBE', token, filter])
  const [verb] = await socket.receive()
  if (String(verb) !== 'OK') throw new Error(`the subscription was answered ${verb}`)
  const read = async () => {
    for await (const [, , event] of socket) if (event !== undefined) lines.add(event)
  }
  const done = read()
  const lines = new EventLines('DEALER', () => {
    socket.close()
    return done
  })
  return lines
}
