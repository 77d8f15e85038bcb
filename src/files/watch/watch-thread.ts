/** The thread of `watcher.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { WatchSettings } from './watch-messages.ts'
import { serveWatch } from './watch-server.ts'

if (parentPort === null) throw new Error('watch-thread.ts is started by watcher.ts')
// Watches that could not be closed would keep the thread alive.
parentPort.once('close', () => process.exit())
serveWatch(parentPort, workerData as WatchSettings)
