import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What befalls a connection once it has carried its share of bytes. */
export type Fault =
  /** Both ends see a reset. */
  | 'reset'
  /** Both ends see an orderly end, perhaps in the middle of a message. */
  | 'end'
  /** The client sees a reset; the server sees nothing, and nobody reads what it sends. */
  | 'half-open'
  /** Nothing passes for a while, then both ends see a reset. */
  | 'freeze'

export const FAULTS: readonly Fault[] = ['reset', 'end', 'half-open', 'freeze']

export interface FaultPlan {
  readonly fault: Fault
  /** What may pass before, from the server unless told. */
  readonly afterBytes: number
  readonly counts?: 'server' | 'client'
  /** Every chunk is held back for a random time up to this. */
  readonly latencyMs: number
}

/** Frozen and half-open connections are reset when this many faults have come after them. */
const LINGER_FAULTS = 6

/** Stands before a TCP server and breaks connections as it is told. */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #port: number
  readonly #plan: () => FaultPlan
  readonly #open = new Set<Socket>()
  /** Ends of connections that linger, with the count of faults at which they are reset. */
  #lingering: { readonly sockets: readonly Socket[]; readonly until: number }[] = []
  #faults = 0
  #isHealed = false

  private constructor(server: Server, port: number, plan: () => FaultPlan) {
    this.#server = server
    this.#port = port
    this.#plan = plan
    server.on('connection', (client) => this.#serve(client))
  }

  /** @param plan - asked once for each connection */
  static async start(port: number, plan: () => FaultPlan): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true })
    const proxy = new FaultProxy(server, port, plan)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections broken so far. */
  get faults(): number {
    return this.#faults
  }

  /** From here on connections live; what lingers is reset, as is what has a fault before it. */
  heal(): void {
    this.#isHealed = true
    for (const { sockets } of this.#lingering) reset(sockets)
    this.#lingering = []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.#open) socket.destroy()
    if (this.#server.listening) await once(this.#server, 'close')
  }

  #serve(client: Socket): void {
    const server = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true })
    const plan = this.#isHealed ? undefined : this.#plan()
    for (const socket of [client, server]) {
      this.#open.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => this.#open.delete(socket))
    }
    client.on('close', () => plan?.fault !== 'half-open' && server.destroy())
    server.on('close', () => client.destroy())
    const [from, to] = plan?.counts === 'client' ? [client, server] : [server, client]
    to.pipe(from)
    if (plan === undefined) from.pipe(to)
    else void this.#forward(from, to, plan, () => this.#break(server, client, plan))
  }

  async #forward(from: Socket, to: Socket, plan: FaultPlan, breaks: () => void): Promise<void> {
    let left = plan.afterBytes
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        const part = (chunk as Buffer).subarray(0, left)
        if (plan.latencyMs > 0) await pause(randomInt(plan.latencyMs + 1))
        if (part.length > 0 && !to.write(part)) await drained(to)
        left -= part.length
        if (left === 0) break
      }
    } catch {
      // One end is gone already: there is nothing left to break.
    }
    if (left === 0) breaks()
    else to.end()
  }

  #break(server: Socket, client: Socket, plan: FaultPlan): void {
    if (client.destroyed) return
    this.#faults += 1
    const due = this.#lingering.filter(({ until }) => until <= this.#faults)
    this.#lingering = this.#lingering.filter((lingering) => !due.includes(lingering))
    for (const { sockets } of due) reset(sockets)
    client.unpipe(server)
    const until = this.#faults + LINGER_FAULTS
    switch (this.#isHealed ? 'reset' : plan.fault) {
      case 'end':
        client.end()
        server.end()
        break
      case 'reset':
        reset([client, server])
        break
      case 'half-open':
        client.resetAndDestroy()
        this.#lingering.push({ sockets: [server], until })
        break
      case 'freeze':
        this.#lingering.push({ sockets: [client, server], until })
    }
  }
}

function reset(sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.resetAndDestroy()
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function drained(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.once('drain', resolve).once('close', resolve)
  await promise
}
