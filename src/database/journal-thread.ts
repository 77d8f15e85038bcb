/** The thread of `database.ts` that makes commits durable: with one sync all that were written before it. */
import { fdatasyncSync } from 'node:fs'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { JournalThreadData } from './thread-messages.ts'

if (parentPort === null) throw new Error('journal-thread.ts is started by database.ts')
const port = parentPort
const { journal, written } = workerData as JournalThreadData

written.on('message', (first: number) => {
  let last = first
  for (let next = receiveMessageOnPort(written); next; next = receiveMessageOnPort(written)) {
    last = next.message
  }
  // One that fails ends the thread: of what was not written then, the next sync knows nothing.
  if (journal !== undefined) fdatasyncSync(journal)
  port.postMessage(last)
})
