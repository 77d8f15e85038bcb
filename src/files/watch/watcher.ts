import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { BrokerError } from '../../protocol/problem.ts'
import type { TreeBatch } from './tree-batch.ts'
import type { ScanCounts } from './tree-scan.ts'
import type {
  WatchCommand,
  WatchCoverage,
  WatchHint,
  WatchReply,
  WatchSettings,
} from './watch-messages.ts'

/** The other end of `watch-server.ts`. */
export interface WatchLink {
  postMessage(command: WatchCommand): void
  on(event: 'message', listener: (reply: WatchReply) => void): unknown
  /** The other end is gone, on purpose or not. */
  once(event: 'exit' | 'close', listener: () => void): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
}

export interface WatcherEvents {
  /** In the order of the events; every hint that a cookie answers for comes before its answer. */
  readonly onHints: (hints: readonly WatchHint[]) => void
  readonly onCoverage: (coverage: WatchCoverage) => void
  readonly onTrouble: (error: Error) => void
  /** The thread ended without being asked to. */
  readonly onLost: (error: Error) => void
}

type Ask = Exclude<WatchCommand, { kind: 'close' }>
type Answer = Exclude<WatchReply, { kind: 'hints' | 'coverage' | 'trouble' | 'failed' }>

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** Starts the thread. @param heapMb - of its old generation: chokidar takes what it is given */
export function startWatchThread(settings: WatchSettings, heapMb: number): WatchLink {
  // The built package has `.js` where the source has `.ts`.
  const file = `./watch-thread${extname(import.meta.url)}`
  return new Worker(new URL(file, import.meta.url), {
    workerData: settings,
    resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: heapMb },
  })
}

/** Speaks with a watch thread. */
export class Watcher implements AsyncDisposable {
  readonly #link: WatchLink
  readonly #events: WatcherEvents
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended = Promise.withResolvers<void>()
  #lastId = 0
  #failure: Error | undefined
  #isClosing = false

  constructor(link: WatchLink, events: WatcherEvents) {
    this.#link = link
    this.#events = events
    link.on('message', (reply) => this.#onReply(reply))
    link.once('error', (cause) => this.#end(new Error('the watch thread failed', { cause })))
    link.once('exit', () => this.#end(new Error('the watch thread ended')))
    link.once('close', () => this.#end(new Error('the watch thread ended')))
  }

  /** Resolves when every directory is watched that can be. @see WatchCommand */
  async cover(fresh: boolean): Promise<void> {
    await this.#ask((id) => ({ kind: 'cover', id, fresh }))
  }

  /** Resolves when every event before this moment has been hinted at. */
  async cookie(): Promise<void> {
    await this.#ask((id) => ({ kind: 'cookie', id }))
  }

  /** Walks a directory, no faster than its batches are taken; returns what it met. */
  async *scan(path: string): AsyncGenerator<TreeBatch, ScanCounts> {
    let id = 0
    let next = this.#ask((given) => {
      id = given
      return { kind: 'scan', id, path }
    })
    let answer: Answer | undefined
    try {
      for (answer = await next; answer.kind === 'batch'; answer = await next) {
        // The thread walks on while this batch is looked at, and no further.
        next = this.#ask(() => ({ kind: 'more', id }))
        next.catch(() => {})
        yield answer.batch
      }
    } finally {
      if (answer?.kind === 'batch' && this.#failure === undefined) {
        this.#link.postMessage({ kind: 'stop', id })
      }
    }
    if (answer.kind !== 'end') throw new Error('the watch thread answered out of order')
    return answer.counts
  }

  /** Ends the thread when it has closed its watches. */
  async close(): Promise<void> {
    if (!this.#isClosing && this.#failure === undefined) {
      this.#isClosing = true
      this.#link.postMessage({ kind: 'close' })
    }
    await this.#ended.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #ask(command: (id: number) => Ask): Promise<Answer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    this.#lastId += 1
    const asked = command(this.#lastId)
    this.#link.postMessage(asked)
    return new Promise((resolve, reject) => this.#waiting.set(asked.id, { resolve, reject }))
  }

  #onReply(reply: WatchReply): void {
    if (reply.kind === 'hints') this.#events.onHints(reply.hints)
    else if (reply.kind === 'coverage') this.#events.onCoverage(reply.coverage)
    else if (reply.kind === 'trouble') this.#events.onTrouble(reply.error)
    else {
      const waiting = this.#waiting.get(reply.id)
      this.#waiting.delete(reply.id)
      if (reply.kind === 'failed') waiting?.reject(reply.error)
      else waiting?.resolve(reply)
    }
  }

  #end(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = this.#isClosing
      ? new BrokerError('UNAVAILABLE', 'the broker is stopping')
      : error
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    this.#ended.resolve()
    if (!this.#isClosing) this.#events.onLost(error)
  }
}
