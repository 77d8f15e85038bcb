import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ok, type Result } from '../../protocol/result.ts'
import { parseUsersFile, type UsersFileRules } from './parse-users-file.ts'
import type { UsersFault } from './users-fault.ts'
import type { UserRule, UsersFile } from './users-file.ts'

export type UsersFileResult = Result<UsersFile, readonly UsersFault[]>

/** A file of this size is parsed in a few milliseconds, less than a thread takes to start. */
const SMALL_BYTES = 64 * 1024

/**
 * The same as `parseUsersFile`, on a thread of its own when the file is large: 20,000 users take half a
 * second, in which no event would be delivered. They come over in slices, for the same reason.
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
  try {
    const parsed: UsersFileResult = await nextMessage(thread)
    if (!parsed.ok) return parsed
    const users: UserRule[] = []
    for (let isMore = true; isMore; ) {
      thread.postMessage('next')
      const slice: readonly UserRule[] = await nextMessage(thread)
      users.push(...slice)
      isMore = slice.length > 0
    }
    return ok({ ...parsed.value, users })
  } finally {
    await thread.terminate()
  }
}

async function nextMessage<Message>(thread: Worker): Promise<Message> {
  const { promise, resolve, reject } = Promise.withResolvers<Message>()
  const failed = (cause?: unknown) => reject(new Error('the users file thread failed', { cause }))
  const ended = () => failed()
  thread.once('message', resolve).once('error', failed).once('exit', ended)
  try {
    return await promise
  } finally {
    thread.off('message', resolve).off('error', failed).off('exit', ended)
  }
}
