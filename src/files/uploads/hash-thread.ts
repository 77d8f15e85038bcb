/** The thread of `content-hasher.ts`: digests of contents that arrive block by block. */
import { createHash, type Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { HashAlgorithm, HashReply, HashRequest } from './content-hasher.ts'

if (parentPort === null) throw new Error('hash-thread.ts is started by content-hasher.ts')
const port = parentPort
const sessions = new Map<number, Map<HashAlgorithm, Hash>>()

function begin(algorithms: readonly HashAlgorithm[]): Map<HashAlgorithm, Hash> {
  return new Map(algorithms.map((name) => [name, createHash(name.replace('-', ''))]))
}

port.on('message', (request: HashRequest) => {
  const { session } = request
  if ('begin' in request) {
    sessions.set(session, begin(request.begin))
    return
  }
  const hashes = sessions.get(session) ?? new Map<HashAlgorithm, Hash>()
  if ('block' in request) {
    const bytes = new Uint8Array(request.block, 0, request.length)
    for (const hash of hashes.values()) hash.update(bytes)
    // The memory goes back to be filled again, so that an upload needs a few blocks however long it is.
    port.postMessage({ session, block: request.block } satisfies HashReply, [request.block])
    return
  }
  sessions.delete(session)
  if ('end' in request) {
    const digests = Object.fromEntries(
      [...hashes].map(([name, hash]) => [name, hash.digest('hex')]),
    )
    port.postMessage({ session, digests } satisfies HashReply)
  }
})
