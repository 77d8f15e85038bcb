import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Result } from '../../protocol/result.ts'
import { parseUsersFile, type UsersFileRules } from './parse-users-file.ts'
import type { UsersFault } from './users-fault.ts'
import type { UsersFile } from './users-file.ts'

export type UsersFileResult = Result<UsersFile, readonly UsersFault[]>

/** A file of this size is parsed in a few milliseconds, less than a thread takes to start. */
const SMALL_BYTES = 64 * 1024

/**
 * The same as `parseUsersFile`, on a thread of its own when the file is large: 20,000 users take half a
 * second, in which no event would be delivered.
 *
 * @throws {Error} when the thread fails, out of memory for one
 */
export async function readUsersFile(
  bytes: Uint8Array,
  rules: UsersFileRules,
): Promise<UsersFileResult> {
  if (bytes.length <= SMALL_BYTES) return parseUsersFile(bytes, rules)
  // The built package has `.js` where the source has `.ts`.
  const file = `./users-file-thread${extname(import.meta.url)}`
  const thread = new Worker(new URL(file, import.meta.url), { workerData: { bytes, rules } })
  return new Promise<UsersFileResult>((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', (cause) => reject(new Error('the users file thread failed', { cause })))
    // After a message this changes nothing; without one the promise would never settle.
    thread.once('exit', () => reject(new Error('the users file thread ended without an answer')))
  })
}
