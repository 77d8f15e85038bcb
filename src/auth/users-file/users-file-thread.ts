/** The thread of `read-users-file.ts`: parses one file, gives the users in slices when asked, and is ended. */
import { parentPort, workerData } from 'node:worker_threads'
import { parseUsersFile, type UsersFileRules } from './parse-users-file.ts'

/** Copied to the main thread in a few milliseconds, 20,000 at once in fifty. */
const SLICE = 1_000

const { bytes, rules } = workerData as { bytes: Uint8Array; rules: UsersFileRules }
const parsed = parseUsersFile(bytes, rules)
let sent = 0
parentPort?.on('message', () => {
  const slice = parsed.ok ? parsed.value.users.slice(sent, sent + SLICE) : []
  sent += slice.length
  parentPort?.postMessage(slice)
})
parentPort?.postMessage(parsed.ok ? { ...parsed, value: { ...parsed.value, users: [] } } : parsed)
