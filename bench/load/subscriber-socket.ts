import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { clientFrame, FrameReader } from './frame-reader.ts'
import type { MessageCounter } from './message-counters.ts'
import type { Subscriber } from './subscriber.ts'
import type { TopicGroup } from './topic-groups.ts'

/** How a subscriber makes itself known after the handshake. */
export interface SubscriberSocketOptions {
  readonly protocol: 'websocket'
  readonly host: string
  readonly port: number
  /** Of the handshake: `/events/bench/**`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Frames sent after the handshake, one by one after what was awaited. */
  readonly greetings: readonly Greeting[]
  /** Which of the messages come to it; undefined for all. */
  readonly group?: TopicGroup | undefined
}

export interface Greeting {
  readonly opcode: number
  readonly payload: string
  /** The answer contains this; empty for none. */
  readonly awaited: string
}

const OPCODE_PING = 9
const OPCODE_PONG = 10

/** One buffer for all reads: each is taken apart before the next one. */
const READ_BUFFER = Buffer.alloc(256 * 1024)

/** A WebSocket of plain TCP, as cheap to read as can be, so that the server is what is measured. */
export class SubscriberSocket implements Subscriber {
  readonly #options: SubscriberSocketOptions
  readonly #changed: () => void
  readonly #reader = new FrameReader(
    (bytes, start, end, isLast) => this.#take(bytes, start, end, isLast),
    (opcode) => this.#control(opcode),
  )
  #socket: Socket | undefined
  #text = ''
  #greeting = -1
  #counter: MessageCounter | undefined
  #isClosed = false

  /** @param changed - called after each read */
  constructor(options: SubscriberSocketOptions, changed: (subscriber: Subscriber) => void) {
    this.#options = options
    this.#changed = () => changed(this)
  }

  get counter(): MessageCounter | undefined {
    return this.#counter
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Resolves when the server has answered the handshake and every greeting. */
  open(): Promise<void> {
    const { host, port, path, headers } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onread = {
      buffer: READ_BUFFER,
      callback: (length: number) => {
        if (this.#greeting === this.#options.greetings.length) this.#feed(0, length)
        else this.#converse(length, resolve, reject)
        return true
      },
    }
    const socket = connect({ host, port, onread, noDelay: true })
    this.#socket = socket
    const lines = Object.entries({
      Host: `${host}:${port}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
    socket.on('error', reject)
    socket.on('close', () => {
      this.#isClosed = true
      reject(new Error('closed before it was subscribed'))
      this.#changed()
    })
    return promise
  }

  /** From now on what comes is counted. */
  count(counter: MessageCounter): void {
    this.#counter = counter
  }

  freeze(): void {
    this.#socket?.pause()
  }

  thaw(): void {
    this.#socket?.resume()
  }

  close(): void {
    this.#socket?.destroy()
  }

  #converse(length: number, resolve: () => void, reject: (error: Error) => void): void {
    this.#text += READ_BUFFER.toString('latin1', 0, length)
    const { greetings } = this.#options
    if (this.#greeting === -1) {
      const end = this.#text.indexOf('\r\n\r\n')
      if (end === -1) return
      if (!this.#text.startsWith('HTTP/1.1 101')) {
        reject(new Error(`no WebSocket: ${this.#text.slice(0, 300)}`))
        return
      }
      this.#text = this.#text.slice(end + 4)
      this.#greet(0)
    }
    // The first message may come with the handshake.
    const awaited = greetings[this.#greeting]?.awaited
    if (awaited !== undefined && this.#text.includes(awaited)) {
      this.#text = ''
      this.#greet(this.#greeting + 1)
    }
    if (this.#greeting === greetings.length) resolve()
  }

  #greet(from: number): void {
    const { greetings } = this.#options
    for (this.#greeting = from; this.#greeting < greetings.length; this.#greeting += 1) {
      const greeting = greetings[this.#greeting]
      if (greeting === undefined) return
      if (greeting.payload !== '')
        this.#socket?.write(clientFrame(greeting.opcode, greeting.payload))
      if (greeting.awaited !== '') return
    }
  }

  #feed(start: number, end: number): void {
    this.#reader.feed(READ_BUFFER, start, end)
    this.#changed()
  }

  #take(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    this.#counter?.take(bytes, start, end, isLast)
  }

  #control(opcode: number): void {
    if (opcode === OPCODE_PING) this.#socket?.write(clientFrame(OPCODE_PONG, ''))
  }
}
