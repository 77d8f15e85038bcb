import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Principal } from '../../auth/principal.ts'
import type { Connection, Registration } from '../../events/delivery/connections.ts'
import type { Delivery } from '../../events/delivery/delivery.ts'
import type { SubscriberCounts } from '../../events/delivery/subscriber-counts.ts'
import type { EventLog } from '../../events/log/event-log.ts'
import type { Publisher } from '../../events/publish/publisher.ts'
import { type Answerers, answerCall, isCall } from '../../events/remote/calls.ts'
import { feedEvents } from '../../events/remote/event-feed.ts'
import { type LinkMessage, MessageLink } from '../../events/remote/message-link.ts'
import type { SessionServices } from '../../events/websocket/websocket-session.ts'
import { toPortable } from './portable-principal.ts'
import type { DetachedSocket } from './socket-handle.ts'
import {
  LINK_FD,
  type OpeningMessage,
  type PortablePrincipal,
  type SocketMessage,
  type WorkerOptions,
  type WorkerOrder,
  type WorkerReport,
} from './worker-messages.ts'

export interface StreamWorkerDeps {
  readonly log: EventLog
  readonly delivery: Delivery
  readonly publisher: Publisher
  readonly connections: SessionServices['connections']
  readonly identities: SessionServices['identities']
}

/** A stream to be held by a worker. */
export type Handover = Omit<OpeningMessage, 'open' | 'principal'> & {
  readonly principal: Principal
  /** Taken out of the hands of this process. */
  readonly socket: DetachedSocket
}

/** How long a worker has to end its last connections. */
const FINISH_MS = 3000

/** One process that holds streams, as the main process sees it. */
export class StreamWorker {
  readonly #deps: StreamWorkerDeps
  readonly #child: ChildProcess
  readonly #link: MessageLink
  readonly #held = new Map<number, HeldConnection>()
  readonly #answerers: Answerers<PortablePrincipal>
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>
  #last = 0
  #subscribers: SubscriberCounts = {}

  private constructor(deps: StreamWorkerDeps, child: ChildProcess, socket: Socket) {
    this.#deps = deps
    this.#child = child
    this.#link = new MessageLink(socket, (message) => this.#receive(message))
    this.#answerers = this.#createAnswerers()
    this.ended = once(child, 'exit').then(() => {
      for (const held of this.#held.values()) held[Symbol.dispose]()
      this.#held.clear()
    })
  }

  /** Resolves when it can be given connections. @throws when it ended before */
  static async start(deps: StreamWorkerDeps, options: WorkerOptions): Promise<StreamWorker> {
    const file = import.meta.url.endsWith('.ts') ? './worker-main.ts' : './worker-main.js'
    const child = fork(
      fileURLToPath(new URL(file, import.meta.url)),
      [JSON.stringify(options)],
      // Its own descriptor for the link: the channel of the child process is for sockets.
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
        // Profiles and debuggers are the main process's; see bin/broker.js for the young generation.
        execArgv: ['--max-semi-space-size=8'],
      },
    )
    const worker = new StreamWorker(deps, child, child.stdio[LINK_FD] as Socket)
    // One that cannot follow is ended: its clients come back and resume.
    const feed = feedEvents(deps, worker.#link, () => child.kill('SIGKILL'))
    const ended = worker.ended.then(() => {
      feed[Symbol.dispose]()
      throw new Error('a worker ended while it started')
    })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return worker
  }

  get processId(): number | undefined {
    return this.#child.pid
  }

  get connectionCount(): number {
    return this.#held.size
  }

  /** As of its last report. */
  get subscribers(): SubscriberCounts {
    return this.#subscribers
  }

  /** From here on the socket is the worker's. */
  hold({ socket, principal, ...opening }: Handover): void {
    this.#last += 1
    const connection = this.#last
    const tell = (order: WorkerOrder) => this.#link.send(order)
    const held = new HeldConnection(connection, principal, opening.address, tell)
    this.#held.set(connection, held)
    held.registerIn(this.#deps.connections)
    tell({ ...opening, open: connection, principal: toPortable(principal) })
    socket.sendTo(this.#child, { connection } satisfies SocketMessage)
  }

  /** Lets the connections end, and then the process. */
  async close(): Promise<void> {
    this.#link.send({ finish: true } satisfies WorkerOrder)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), FINISH_MS)
    await this.ended
    clearTimeout(timer)
  }

  #receive({ head }: LinkMessage): void {
    if (isCall(head)) {
      void answerCall(this.#link, this.#answerers, head)
      return
    }
    const report = head as WorkerReport
    if ('delivered' in report) {
      this.#subscribers = report.subscribers
      this.#deps.delivery.counters.add(report.delivered)
      return
    }
    const { closed } = report
    this.#held.get(closed)?.[Symbol.dispose]()
    this.#held.delete(closed)
  }

  #createAnswerers(): Answerers<PortablePrincipal> {
    const { log, publisher, identities, connections } = this.#deps
    return {
      head: async () => ({ value: log.head, events: [] }),
      read: async (query) => {
        const { events, through } = await log.read(query)
        return { value: { through }, events }
      },
      lossAfter: async ({ after, filters }) => {
        return { value: (await log.lossAfter(after, filters)) ?? null, events: [] }
      },
      publish: async ({ connection, inputs, options }) => {
        const { principal } = this.#connection(connection)
        return { value: await publisher.publish(principal, inputs, options), events: [] }
      },
      authenticate: async ({ connection, token }) => {
        const held = this.#connection(connection)
        const principal = await identities.authenticate(token, held.address)
        if (held.principal.user === null) connections.admit(principal.user, undefined)
        const isSame = held.principal.user === null || held.principal.user === principal.user
        // Of another user it is refused by the worker, and stays whose it is.
        if (isSame) held.become(principal)
        return { value: toPortable(principal), events: [] }
      },
    }
  }

  #connection(connection: number): HeldConnection {
    const held = this.#held.get(connection)
    if (held === undefined) throw new Error(`no connection ${connection}`)
    return held
  }
}

/** A connection that a worker holds: it counts here, and here it is judged. */
class HeldConnection implements Connection, Disposable {
  principal: Principal
  readonly address: string
  readonly #connection: number
  readonly #tell: (order: WorkerOrder) => void
  #registration: Registration | undefined

  constructor(
    connection: number,
    principal: Principal,
    address: string,
    tell: (order: WorkerOrder) => void,
  ) {
    this.#connection = connection
    this.principal = principal
    this.address = address
    this.#tell = tell
  }

  registerIn(connections: SessionServices['connections']): void {
    this.#registration = connections.add(this)
  }

  become(principal: Principal): void {
    this.principal = principal
    this.#registration?.recount()
  }

  judge(principal: Principal | undefined): void {
    if (principal === this.principal) return
    if (principal !== undefined) this.principal = principal
    const portable = principal === undefined ? null : toPortable(principal)
    this.#tell({ judge: this.#connection, principal: portable })
  }

  tick(): void {}

  drain(retryAfterMs: number): void {
    this.#tell({ drain: this.#connection, retryAfterMs })
  }

  [Symbol.dispose](): void {
    this.#registration?.[Symbol.dispose]()
  }
}
