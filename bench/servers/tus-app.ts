/** A peer: @tus/server with @tus/file-store, as its documentation shows it. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'
import { answerCalls } from '../load/process-calls.ts'
import { listenAnywhere } from './app-port.ts'

let directory = ''

const api = {
  listen(given: string): Promise<number> {
    directory = given
    const tus = new Server({ path: '/uploads', datastore: new FileStore({ directory }) })
    return listenAnywhere(createServer((request, response) => void tus.handle(request, response)))
  },

  /** SHA-256 of what is stored, in base64url; then it is removed. */
  async take(url: string): Promise<string> {
    const file = join(directory, basename(url))
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(file)) hash.update(chunk)
    await rm(file)
    await rm(`${file}.json`)
    return hash.digest('base64url')
  },
}

/** What the process of the peer can be asked for. */
export type TusApp = typeof api

answerCalls(api)
