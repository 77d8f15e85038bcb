import type { FileHandle } from 'node:fs/promises'
import { BrokerError } from '../../protocol/problem.ts'
import type { DigestAlgorithm } from '../http/digest-fields.ts'
import { BlockWriter } from './block-writer.ts'
import { type ContentHasher, type Digests, digestsOf, type HashSession } from './content-hasher.ts'

/** Up to this many bytes a content is hashed in place: the hop to a thread costs more. */
export const SMALL_BYTES = 64 * 1024

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
 * Writes a content to a file while it arrives, and hashes it.
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
  let session: HashSession | undefined
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
        session = options.hasher.begin(options.algorithms)
        blocks = new BlockWriter(file, { first: 0, session, take: options.take })
        for (const earlier of small.splice(0)) await blocks.write(earlier)
      }
      await blocks.write(chunk)
    }
    await blocks?.finish()
    if (session !== undefined) return { size, digests: await session.digests() }
    return { size, digests: await writeSmall(small, size, file, options) }
  } finally {
    await blocks?.settle()
    session?.discard()
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

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.byteLength) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}

/** Tells a body that broke off from a disk that failed. */
export async function* intact(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content
  } catch (cause) {
    if (cause instanceof BrokerError) throw cause
    throw new BrokerError('BODY_INCOMPLETE', 'the connection ended before the body', { cause })
  }
}
