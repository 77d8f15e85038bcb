import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { SubscriberCounts } from '../../events/delivery/subscriber-counts.ts'
import { detachSocket } from './socket-handle.ts'
import { type Handover, StreamWorker, type StreamWorkerDeps } from './stream-worker.ts'
import type { WorkerOptions } from './worker-messages.ts'

export interface WorkerPoolDeps extends StreamWorkerDeps {
  readonly logger: FastifyBaseLogger
}

export interface PoolCounts {
  readonly wanted: number
  readonly running: number
  /** That ended unasked. */
  readonly ended: number
  readonly connections: number
}

/** How long after the end of a worker the next one is started; doubled while they end at once. */
const RESTART_MS = 100
const MAX_RESTART_MS = 10_000

/** A worker that lived for so long did not fail at its start. */
const STABLE_MS = 10_000

/**
 * The processes that hold streams. The main process answers every request; a stream that it admitted it
 * hands over, the open socket with all that is known of it. When a worker ends, its clients come back; when
 * none is there, the main process holds them itself.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #deps: WorkerPoolDeps
  readonly #options: WorkerOptions
  readonly #workers = new Set<StreamWorker>()
  readonly #closing = new AbortController()
  readonly #wanted: number
  #ended = 0
  /** What clients sent behind their request. */
  readonly #heads = new WeakMap<IncomingMessage, Buffer>()

  private constructor(wanted: number, deps: WorkerPoolDeps, options: WorkerOptions) {
    this.#wanted = wanted
    this.#deps = deps
    this.#options = options
  }

  /** Resolves when all workers are there. @throws when one cannot be started */
  static async open(
    count: number,
    deps: WorkerPoolDeps,
    options: WorkerOptions,
  ): Promise<WorkerPool> {
    const pool = new WorkerPool(count, deps, options)
    await Promise.all(Array.from({ length: count }, () => pool.#start()))
    return pool
  }

  /** How many processes there are to be, are, were started again, and what they hold. */
  get counts(): PoolCounts {
    const connections = [...this.#workers].map(({ connectionCount }) => connectionCount)
    return {
      wanted: this.#wanted,
      running: this.#workers.size,
      ended: this.#ended,
      connections: connections.reduce((sum, count) => sum + count, 0),
    }
  }

  /** Of each worker, as of its last report. */
  get subscribers(): readonly SubscriberCounts[] {
    return [...this.#workers].map(({ subscribers }) => subscribers)
  }

  /** Keeps what comes behind upgrade requests: whoever holds the socket must have it. */
  observe(server: Server): void {
    server.prependListener('upgrade', (request: IncomingMessage, _socket: Socket, head: Buffer) => {
      this.#heads.set(request, head)
    })
  }

  /**
   * Hands the stream of an admitted request to the worker with the fewest.
   *
   * @param responseHead - what a streamed response begins with
   * @returns false when it stays with the main process
   */
  handOver(
    kind: Handover['kind'],
    { raw, id, ip, principal, publicUrl }: FastifyRequest,
    responseHead = '',
  ): boolean {
    const [worker] = [...this.#workers].sort((a, b) => a.connectionCount - b.connectionCount)
    const { url = '', headers } = raw
    if (worker === undefined) return false
    const socket = detachSocket(raw.socket)
    if (socket === undefined) return false
    const behind = [this.#heads.get(raw) ?? Buffer.alloc(0), socket.early]
    const early = Buffer.concat(behind).toString('base64')
    const request = { kind, url, headers, early, responseHead, requestId: id, publicUrl }
    worker.hold({ ...request, address: ip, principal, socket })
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#workers].map((worker) => worker.close()))
  }

  async #start(): Promise<void> {
    const worker = await StreamWorker.start(this.#deps, this.#options)
    this.#workers.add(worker)
    const start = performance.now()
    const pid = worker.processId
    this.#deps.logger.info({ event: 'worker.start', pid }, 'worker is running')
    void worker.ended.then(() => {
      this.#workers.delete(worker)
      if (this.#closing.signal.aborted) return
      this.#ended += 1
      this.#deps.logger.warn({ event: 'worker.end', pid }, 'worker has ended')
      const isStable = performance.now() - start >= STABLE_MS
      void this.#restart(isStable ? RESTART_MS : RESTART_MS * 10)
    })
  }

  async #restart(afterMs: number): Promise<void> {
    const { signal } = this.#closing
    try {
      await delay(afterMs, undefined, { signal, ref: false })
      await this.#start()
    } catch (err) {
      if (signal.aborted) return
      this.#deps.logger.error({ event: 'worker.start', err }, 'a worker did not start')
      await this.#restart(Math.min(afterMs * 2, MAX_RESTART_MS))
    }
  }
}
