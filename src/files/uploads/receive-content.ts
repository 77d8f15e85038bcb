import type { FileHandle } from 'node:fs/promises'
import { BrokerError } from '../../protocol/problem.ts'
import type { DigestAlgorithm } from '../http/digest-fields.ts'
import { type ContentHasher, type Digests, digestsOf, type HashSession } from './content-hasher.ts'

/** Up to this many bytes a content is hashed in place: the hop to a thread costs more. */
const SMALL_BYTES = 64 * 1024

/** A block is written and hashed at a time; four of them are what a large upload holds in memory. */
const BLOCK_BYTES = 256 * 1024
const MAX_BLOCKS = 4

export interface ReceiveOptions {
  readonly hasher: ContentHasher
  readonly algorithms: readonly DigestAlgorithm[]
  readonly maxBytes: number
  /** Asked for room before more is written. @throws {BrokerError} `STORAGE_FULL`, `QUOTA_EXCEEDED` */
  readonly take: (bytes: number) => Promise<void>
}

export interface Received {
  readonly size: number
  readonly digests: Digests
}

/**
 * Writes a content to a file while it arrives, and hashes it. What arrives is copied once into blocks of
 * our own, so that they may be handed to a thread: nobody says whose memory a chunk of a stream is.
 *
 * @throws {BrokerError} `TOO_LARGE`, `STORAGE_FULL`; `BODY_INCOMPLETE` when `content` fails
 */
export async function receiveContent(
  content: AsyncIterable<Uint8Array>,
  file: FileHandle,
  options: ReceiveOptions,
): Promise<Received> {
  const small: Uint8Array[] = []
  let size = 0
  let blocks: BlockWriter | undefined
  try {
    for await (const chunk of intact(content)) {
      size += chunk.byteLength
      if (size > options.maxBytes) {
        throw new BrokerError('TOO_LARGE', `a file may have ${options.maxBytes} bytes`)
      }
      if (blocks === undefined && size <= SMALL_BYTES) {
        small.push(chunk)
        continue
      }
      if (blocks === undefined) {
        blocks = new BlockWriter(file, options)
        for (const earlier of small.splice(0)) await blocks.write(earlier)
      }
      await blocks.write(chunk)
    }
    if (blocks !== undefined) return { size, digests: await blocks.finish() }
    return { size, digests: await writeSmall(small, size, file, options) }
  } finally {
    await blocks?.settle()
  }
}

async function writeSmall(
  chunks: readonly Uint8Array[],
  size: number,
  file: FileHandle,
  { algorithms, take }: ReceiveOptions,
): Promise<Digests> {
  const bytes = chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks, size)
  await take(size)
  await writeAll(file, bytes, 0)
  return digestsOf(bytes, algorithms)
}

/** Tells a body that broke off from a disk that failed. */
async function* intact(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content
  } catch (cause) {
    if (cause instanceof BrokerError) throw cause
    throw new BrokerError('BODY_INCOMPLETE', 'the connection ended before the body', { cause })
  }
}

/** Fills blocks; each is written, then hashed while the next one is written. */
class BlockWriter {
  readonly #file: FileHandle
  readonly #session: HashSession
  readonly #take: (bytes: number) => Promise<void>
  readonly #inFlight: Promise<ArrayBuffer>[] = []
  #written: Promise<void> = Promise.resolve()
  #block = new Uint8Array(BLOCK_BYTES)
  #filled = 0
  #position = 0

  constructor(file: FileHandle, options: ReceiveOptions) {
    this.#file = file
    this.#take = options.take
    this.#session = options.hasher.begin(options.algorithms)
  }

  async write(chunk: Uint8Array): Promise<void> {
    let rest = chunk
    while (rest.byteLength > 0) {
      const part = rest.subarray(0, BLOCK_BYTES - this.#filled)
      this.#block.set(part, this.#filled)
      this.#filled += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#filled === BLOCK_BYTES) await this.#flush()
    }
  }

  async finish(): Promise<Digests> {
    if (this.#filled > 0) {
      await this.#take(this.#filled)
      this.#start()
    }
    await Promise.all(this.#inFlight)
    return this.#session.digests()
  }

  /** Waits until nothing touches the file any more, whatever came of it. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#inFlight)
    this.#session.discard()
  }

  async #flush(): Promise<void> {
    await this.#take(this.#filled)
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
    const written = this.#written.then(() =>
      writeAll(this.#file, block.subarray(0, length), position),
    )
    this.#written = written
    const hashed = written.then(() => this.#session.update(block.buffer, length))
    // Looked at later, by whoever needs the block; until then a failure is nobody's.
    hashed.catch(() => undefined)
    this.#inFlight.push(hashed)
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}
