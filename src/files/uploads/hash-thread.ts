/** The thread of `content-hasher.ts`: digests of contents that arrive block by block, and are written here. */
import { createHash, type Hash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { errorCode } from '../store/storage-fault.ts'
import type {
  FilePlace,
  HashAlgorithm,
  HashedBlock,
  HashReply,
  HashRequest,
} from './content-hasher.ts'

/**
 * For more at once the kernel takes larger pieces of memory, which a virtual machine may have given back to its
 * host: to have them again costs six times as much as the write.
 */
const WRITE_BYTES = 32 * 1024

if (parentPort === null) throw new Error('hash-thread.ts is started by content-hasher.ts')
const port = parentPort
const sessions = new Map<number, Map<HashAlgorithm, Hash>>()

function begin(algorithms: readonly HashAlgorithm[]): Map<HashAlgorithm, Hash> {
  return new Map(algorithms.map((name) => [name, createHash(name.replace('-', ''))]))
}

function update({ session, block, length, to }: HashedBlock): void {
  const hashes = sessions.get(session)
  if (hashes === undefined) throw new Error('a block before it could not be written')
  const bytes = new Uint8Array(block, 0, length)
  if (to !== undefined) writeAll(bytes, to)
  for (const hash of hashes.values()) hash.update(bytes)
}

function writeAll(bytes: Uint8Array, { fd, position }: FilePlace): void {
  let done = 0
  while (done < bytes.byteLength) {
    const length = Math.min(WRITE_BYTES, bytes.byteLength - done)
    done += writeSync(fd, bytes, done, length, position + done)
  }
}

port.on('message', (request: HashRequest) => {
  const { session } = request
  if ('begin' in request) {
    sessions.set(session, begin(request.begin))
    return
  }
  if ('block' in request) {
    try {
      update(request)
    } catch (error) {
      sessions.delete(session)
      const fault = { message: String(error), code: errorCode(error) }
      port.postMessage({ session, fault } satisfies HashReply)
      return
    }
    // The memory goes back to be filled again, so that an upload needs a few blocks however long it is.
    port.postMessage({ session, block: request.block } satisfies HashReply, [request.block])
    return
  }
  const hashes = sessions.get(session) ?? new Map<HashAlgorithm, Hash>()
  sessions.delete(session)
  if ('end' in request) {
    const digests = Object.fromEntries(
      [...hashes].map(([name, hash]) => [name, hash.digest('hex')]),
    )
    port.postMessage({ session, digests } satisfies HashReply)
  }
})
