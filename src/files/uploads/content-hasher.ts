import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { DigestAlgorithm } from '../http/digest-fields.ts'

/** SHA-1 only guards a part of a content on its way; it names nothing. */
export type HashAlgorithm = DigestAlgorithm | 'sha-1'

/** Lower-case hex, by algorithm. */
export type Digests = Readonly<Partial<Record<HashAlgorithm, string>>>

/** Where a block is written. */
export interface FilePlace {
  /** Stays open until the block is answered for. */
  readonly fd: number
  readonly position: number
}

/** Work sent to a thread; see `hash-thread.ts`. */
export type HashRequest =
  | { readonly session: number; readonly begin: readonly HashAlgorithm[] }
  | HashedBlock
  | { readonly session: number; readonly end: true }
  | { readonly session: number; readonly discard: true }

export interface HashedBlock {
  readonly session: number
  readonly block: ArrayBuffer
  readonly length: number
  /** Undefined when it is only hashed. */
  readonly to: FilePlace | undefined
}

export type HashReply =
  | { readonly session: number; readonly block: ArrayBuffer }
  | { readonly session: number; readonly digests: Digests }
  | { readonly session: number; readonly fault: HashFault }

/** An error as it crosses threads, which would lose its code. */
export interface HashFault {
  readonly message: string
  readonly code: string | undefined
}

interface Waiting {
  resolve(reply: HashReply): void
  reject(error: Error): void
}

interface Thread {
  readonly worker: Worker
  /** What each session waits for, in the order of its requests. */
  readonly sessions: Map<number, Waiting[]>
}

const MAX_THREADS = 4

/**
 * Digests on threads of their own: SHA-256 of a large file would keep the main thread busy for seconds. The
 * same threads write what they hash, one block after the other without a word from the main thread.
 * Threads start when they are first needed. A content of up to 64 KiB is faster hashed in place, by
 * `digestsOf`, than sent to a thread.
 */
export class ContentHasher implements AsyncDisposable {
  readonly #limit: number
  readonly #threads: Thread[] = []
  #lastSession = 0
  #closed = false
  #failures = 0

  constructor(threads = Math.min(MAX_THREADS, Math.max(1, availableParallelism() - 1))) {
    this.#limit = threads
  }

  /** Threads that ended unasked; what they were at work on failed. */
  get failures(): number {
    return this.#failures
  }

  begin(algorithms: readonly HashAlgorithm[]): HashSession {
    if (this.#closed) throw new Error('the content hasher is closed')
    const thread = this.#leastBusy()
    const session = ++this.#lastSession
    thread.sessions.set(session, [])
    thread.worker.postMessage({ session, begin: algorithms } satisfies HashRequest)
    return new HashSession(session, thread)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #leastBusy(): Thread {
    const [first] = this.#threads.toSorted((a, b) => a.sessions.size - b.sessions.size)
    const isFull = this.#threads.length >= this.#limit
    return first !== undefined && (first.sessions.size === 0 || isFull) ? first : this.#start()
  }

  #start(): Thread {
    // The built package has `.js` where the source has `.ts`.
    const file = `./hash-thread${extname(import.meta.url)}`
    const worker = new Worker(new URL(file, import.meta.url))
    const thread: Thread = { worker, sessions: new Map() }
    worker.on('message', (reply: HashReply) => {
      const waiting = thread.sessions.get(reply.session)
      if ('digests' in reply) thread.sessions.delete(reply.session)
      const next = waiting?.shift()
      if ('fault' in reply) next?.reject(Object.assign(new Error(), reply.fault))
      else next?.resolve(reply)
    })
    worker.on('error', (cause) => this.#end(thread, new Error('a hash thread failed', { cause })))
    worker.on('exit', () => this.#end(thread, new Error('a hash thread ended')))
    this.#threads.push(thread)
    return thread
  }

  #end(thread: Thread, error: Error): void {
    const index = this.#threads.indexOf(thread)
    if (index !== -1) {
      this.#threads.splice(index, 1)
      this.#failures += 1
    }
    const waiting = [...thread.sessions.values()].flat()
    thread.sessions.clear()
    for (const { reject } of waiting) reject(error)
  }
}

/** The digests of one content that arrives in blocks. */
export class HashSession {
  readonly #id: number
  readonly #thread: Thread

  constructor(id: number, thread: Thread) {
    this.#id = id
    this.#thread = thread
  }

  /**
   * Blocks are hashed in the order of the calls. After one that cannot be written none is written any more.
   *
   * @param block - handed over: it must not be touched any more
   * @param to - where it is written before it is hashed
   * @returns memory of the same size that may be filled again
   * @throws what `write` throws
   */
  async update(block: ArrayBuffer, length: number, to?: FilePlace): Promise<ArrayBuffer> {
    const reply = await this.#ask({ session: this.#id, block, length, to }, [block])
    if (!('block' in reply)) throw new Error('the hash thread answered out of order')
    return reply.block
  }

  /** Ends the session. */
  async digests(): Promise<Digests> {
    const reply = await this.#ask({ session: this.#id, end: true }, [])
    if (!('digests' in reply)) throw new Error('the hash thread answered out of order')
    return reply.digests
  }

  /** Ends the session without a result; one that is over stays so. */
  discard(): void {
    const { worker, sessions } = this.#thread
    if (!sessions.delete(this.#id)) return
    worker.postMessage({ session: this.#id, discard: true } satisfies HashRequest)
  }

  #ask(request: HashRequest, transfer: readonly ArrayBuffer[]): Promise<HashReply> {
    const { worker, sessions } = this.#thread
    const waiting = sessions.get(this.#id)
    if (waiting === undefined) return Promise.reject(new Error('the hashing session is over'))
    worker.postMessage(request, transfer)
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
}

/** Digests of a small content, on the calling thread. */
export function digestsOf(bytes: Uint8Array, algorithms: readonly HashAlgorithm[]): Digests {
  return Object.fromEntries(
    algorithms.map((name) => [name, createHash(name.replace('-', '')).update(bytes).digest('hex')]),
  )
}
