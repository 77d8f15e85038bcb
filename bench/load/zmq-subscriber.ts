import { setTimeout as delay } from 'node:timers/promises'
import type { MessageCounter } from './message-counters.ts'
import type { Subscriber } from './subscriber.ts'
import { ZmtpConnection, zmtpMessage } from './zmtp.ts'

/** A SUB socket that is given events of two frames, topic and event. */
export interface ZmqSubscriberOptions {
  readonly protocol: 'zmq'
  readonly host: string
  readonly port: number
  readonly plain?: { readonly user: string; readonly password: string } | undefined
  /** What the topics begin with. */
  readonly prefix: string
}

/** libzmq does not say when a subscription is in force. What comes too late makes the run void. */
const SUBSCRIBING_MS = 300

export class ZmqSubscriber implements Subscriber {
  readonly #options: ZmqSubscriberOptions
  readonly #changed: () => void
  #connection: ZmtpConnection | undefined
  #counter: MessageCounter | undefined

  /** @param changed - called after each read */
  constructor(options: ZmqSubscriberOptions, changed: (subscriber: Subscriber) => void) {
    this.#options = options
    this.#changed = () => changed(this)
  }

  get counter(): MessageCounter | undefined {
    return this.#counter
  }

  get isClosed(): boolean {
    return this.#connection?.isClosed ?? false
  }

  async open(): Promise<void> {
    this.#connection = await ZmtpConnection.open({ ...this.#options, socketType: 'SUB' })
    this.#connection.listen((bytes, start, end, isLast) => {
      if (isLast) this.#counter?.take(bytes, start, end, true)
    }, this.#changed)
    this.#connection.write(zmtpMessage([`\x01${this.#options.prefix}`]))
    await delay(SUBSCRIBING_MS)
  }

  count(counter: MessageCounter): void {
    this.#counter = counter
  }

  close(): void {
    this.#connection?.close()
  }
}
