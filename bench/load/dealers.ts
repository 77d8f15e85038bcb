/** A process that publishes from DEALER sockets, each with so many commands unanswered at a time. */
import { clockMs } from '../measure/clock.ts'
import { BusyMeter, type LoadReport } from '../measure/load-report.ts'
import { answerCalls } from './process-calls.ts'
import { ZmtpConnection, zmtpMessage } from './zmtp.ts'

export interface DealerOptions {
  readonly host: string
  readonly port: number
  readonly connections: number
  /** Of each command. */
  readonly frames: readonly string[]
  /** Commands of one connection that are unanswered at a time. */
  readonly window: number
  /** Commands of each connection. */
  readonly messages: number
}

export interface Acknowledged extends LoadReport {
  readonly acknowledged: number
  /** The body of the last reply. */
  readonly reply: string
  readonly fault: string | undefined
}

/** When no reply comes for so long, none will. */
const PATIENCE_MS = 5000

const OK = 'OK'

const api = {
  async publish(options: DealerOptions): Promise<Acknowledged> {
    const dealers = await Promise.all(
      Array.from({ length: options.connections }, () => Dealer.open(options)),
    )
    const startedMs = clockMs()
    const busy = new BusyMeter()
    await Promise.all(dealers.map((dealer) => dealer.publish()))
    const report = { startedMs, endedMs: clockMs(), busySeconds: busy.seconds }
    for (const dealer of dealers) dealer.close()
    return {
      ...report,
      acknowledged: dealers.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      reply: dealers[0]?.reply ?? '',
      fault: dealers.find(({ fault }) => fault !== undefined)?.fault,
    }
  },
}

/** What the process of the DEALER sockets can be asked for. */
export type Dealers = typeof api

class Dealer {
  readonly #connection: ZmtpConnection
  readonly #window: number
  readonly #messages: number
  readonly #messageBytes: number
  /** A whole window: a write is a piece of it. */
  readonly #commands: Buffer
  #isFirstFrame = true
  acknowledged = 0
  reply = ''
  fault: string | undefined

  private constructor(
    connection: ZmtpConnection,
    { frames, window, messages }: Pick<DealerOptions, 'frames' | 'window' | 'messages'>,
  ) {
    const message = zmtpMessage(frames)
    this.#connection = connection
    this.#window = window
    this.#messages = messages
    this.#messageBytes = message.length
    this.#commands = Buffer.concat(Array.from({ length: window }, () => message))
  }

  static async open(options: DealerOptions): Promise<Dealer> {
    return new Dealer(await ZmtpConnection.open({ ...options, socketType: 'DEALER' }), options)
  }

  /** Resolves when everything is acknowledged, or nothing comes any more. */
  publish(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    let before = -1
    const timer = setInterval(() => {
      if (this.acknowledged === before) this.fault ??= 'not every command was answered'
      before = this.acknowledged
      if (this.fault !== undefined) resolve()
    }, PATIENCE_MS)
    let sent = Math.min(this.#window, this.#messages)
    this.#connection.listen(
      (bytes, start, end, isLast) => this.#take(bytes, start, end, isLast),
      () => {
        const due = Math.min(this.acknowledged + this.#window, this.#messages) - sent
        if (due > 0) this.#send(due)
        sent += due
        if (this.#connection.isClosed) this.fault ??= 'a connection was closed'
        if (this.acknowledged === this.#messages || this.fault !== undefined) resolve()
      },
    )
    this.#send(sent)
    return promise.finally(() => clearInterval(timer))
  }

  close(): void {
    this.#connection.close()
  }

  #send(count: number): void {
    this.#connection.write(this.#commands.subarray(0, count * this.#messageBytes))
  }

  #take(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    if (this.#isFirstFrame && bytes.toString('latin1', start, end) !== OK) {
      this.fault ??= `a command failed: ${bytes.toString('latin1', start, end + 300)}`
    }
    this.#isFirstFrame = isLast
    if (!isLast) return
    this.acknowledged += 1
    if (this.acknowledged === this.#messages) this.reply = bytes.toString('utf8', start, end)
  }
}

answerCalls(api)
