/** The thread of `read-users-file.ts`: parses one file and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { parseUsersFile, type UsersFileRules } from './parse-users-file.ts'

const { bytes, rules } = workerData as { bytes: Uint8Array; rules: UsersFileRules }
parentPort?.postMessage(parseUsersFile(bytes, rules))
