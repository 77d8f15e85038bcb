/** A peer: bare Node that writes each body to a file while it comes, and then tells its digest. */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { answerCalls } from '../load/process-calls.ts'

let count = 0

const api = {
  listen({ directory }: { readonly directory: string }): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    const server = createServer(async (request, response) => {
      count += 1
      const hash = createHash('sha256')
      const hashing = new Transform({
        transform(chunk: Buffer, _, done) {
          hash.update(chunk)
          done(null, chunk)
        },
      })
      const file = createWriteStream(join(directory, String(count)), { flush: true })
      await pipeline(request, hashing, file)
      response.writeHead(201).end(hash.digest('hex'))
    })
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
    return promise
  },
}

/** What the process of the storing app can be asked for. */
export type StoringApp = typeof api

answerCalls(api)
