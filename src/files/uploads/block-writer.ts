import type { FileHandle } from 'node:fs/promises'
import type { HashSession } from './content-hasher.ts'

/** Handed over at a time; six of them, 1.5 MiB, are what a large upload holds in memory at most. */
const BLOCK_BYTES = 256 * 1024
const MAX_BLOCKS = 6

/** So much is left for the kernel to write when it likes: the disk works while the rest arrives. */
const SYNC_BYTES = 32 * 1024 * 1024

export interface BlockWriterOptions {
  /** Where in the file the first byte goes. */
  readonly first: number
  /** Its thread writes. */
  readonly session: HashSession
  /** Told every byte too, in order. */
  readonly others?: readonly HashSession[]
  /** Asked for room before more is written. @throws {BrokerError} `STORAGE_FULL` */
  readonly take: (bytes: number) => Promise<void>
}

/**
 * Fills blocks; each is handed to a thread that writes and hashes it, while the next ones are filled. What
 * arrives is copied once, so that it may be handed over: nobody says whose memory a chunk of a stream is.
 */
export class BlockWriter {
  readonly #file: FileHandle
  readonly #options: BlockWriterOptions
  readonly #inFlight: Promise<ArrayBuffer>[] = []
  #syncing: Promise<void> | undefined
  /** Up to here a sync was begun. */
  #synced: number
  #block = new Uint8Array(BLOCK_BYTES)
  #filled = 0
  #position: number
  #written: number
  #hasFailed = false

  constructor(file: FileHandle, options: BlockWriterOptions) {
    this.#file = file
    this.#options = options
    this.#position = options.first
    this.#written = options.first
    this.#synced = options.first
  }

  /** True when a session may not have been told all that the file holds. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Up to here the file holds what was written, whatever failed. */
  get written(): number {
    return this.#written
  }

  /** @param chunk - taken over: its memory must not be touched any more */
  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    while (rest.byteLength > 0) {
      const part = rest.subarray(0, BLOCK_BYTES - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#filled === BLOCK_BYTES) await this.#flush()
    }
    release(chunk)
  }

  /** Resolves when all is written and hashed. */
  async finish(): Promise<void> {
    if (this.#filled > 0) {
      await this.#options.take(this.#filled)
      this.#start()
      this.#filled = 0
    }
    await Promise.all(this.#inFlight)
    // A failed sync is told once: the one at the end would not hear of it.
    await this.#syncing
  }

  /** Waits until nothing touches the file any more, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#inFlight)
    await this.#syncing?.catch(() => undefined)
  }

  async #flush(): Promise<void> {
    await this.#options.take(this.#filled)
    this.#start()
    // Backpressure: the sender is read again when a block is free.
    const isFull = this.#inFlight.length >= MAX_BLOCKS
    const free = isFull ? await this.#inFlight.shift() : undefined
    this.#block = new Uint8Array(free ?? new ArrayBuffer(BLOCK_BYTES))
    this.#filled = 0
  }

  #start(): void {
    const block = this.#block
    const length = this.#filled
    const position = this.#position
    this.#position += length
    const done = this.#write(block.buffer, length, position)
    // Told later, to whoever needs the block; until then a failure is nobody's.
    done.catch(() => {
      this.#hasFailed = true
    })
    this.#inFlight.push(done)
  }

  async #write(block: ArrayBuffer, length: number, position: number): Promise<ArrayBuffer> {
    const { session, others = [] } = this.#options
    let memory = await session.update(block, length, { fd: this.#file.fd, position })
    this.#written = position + length
    this.#sync()
    for (const other of others) memory = await other.update(memory, length)
    return memory
  }

  #sync(): void {
    if (this.#syncing !== undefined || this.#written - this.#synced < SYNC_BYTES) return
    this.#synced = this.#written
    this.#syncing = this.#file.datasync().then(() => {
      this.#syncing = undefined
    })
    this.#syncing.catch(() => undefined)
  }
}

/**
 * Gives the memory of a chunk back at once, where nothing else lies in it. A socket makes an ArrayBuffer for each
 * chunk; left to the collector they cause a full collection for every 30 MB, half of the cost of an upload.
 */
function release({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const isAlone = byteOffset === 0 && buffer.byteLength === byteLength
  if (isAlone && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
