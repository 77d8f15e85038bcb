import type { FileHandle } from 'node:fs/promises'
import {
  type ContentHasher,
  type Digests,
  digestsOf,
  type HashAlgorithm,
} from './content-hasher.ts'
import { SMALL_BYTES } from './receive-content.ts'

const BLOCK_BYTES = 256 * 1024

/** The digests of the first `size` bytes of a file, or of all when it has fewer; off the main thread. */
export async function digestFile(
  file: FileHandle,
  size: number,
  algorithms: readonly HashAlgorithm[],
  hasher: ContentHasher,
): Promise<Digests> {
  if (size <= SMALL_BYTES) {
    const block = Buffer.alloc(size)
    const { bytesRead } = await file.read(block, 0, size, 0)
    return digestsOf(block.subarray(0, bytesRead), algorithms)
  }
  const session = hasher.begin(algorithms)
  try {
    // One block is read while the other is hashed.
    let hashing = Promise.resolve(new ArrayBuffer(BLOCK_BYTES))
    let free = new ArrayBuffer(BLOCK_BYTES)
    for (let position = 0; position < size; ) {
      const wanted = Math.min(BLOCK_BYTES, size - position)
      const { bytesRead } = await file.read(new Uint8Array(free), 0, wanted, position)
      if (bytesRead === 0) break
      position += bytesRead
      const next = await hashing
      hashing = session.update(free, bytesRead)
      // Looked at in the next round; until then a failure is nobody's.
      hashing.catch(() => undefined)
      free = next
    }
    await hashing
    return await session.digests()
  } finally {
    session.discard()
  }
}
