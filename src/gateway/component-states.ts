import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import type { Database } from '../database/database.ts'
import { errorCode } from '../files/store/storage-fault.ts'
import { freeBytesAt, inMebibytes } from '../files/uploads/free-space.ts'
import type { WatchStatus } from '../files/watch/watch-status.ts'
import type { OpenFiles } from './open-files.ts'
import type { ComponentState } from './operations.ts'
import type { ProxyTrust } from './proxy-trust.ts'
import type { StorageHealth } from './storage-health.ts'
import { USERS_PATH } from './users-in-force.ts'
import type { WorkerPool } from './workers/worker-pool.ts'

export interface ComponentDeps {
  readonly data: string
  /** The directory of the default volume. */
  readonly volume: string
  /** What uploads must leave free. */
  readonly reserveBytes: number
  /** The users file. */
  readonly users: string
  readonly database: Database
  readonly storage: StorageHealth
  readonly files: Pick<OpenFiles, 'watchStatus' | 'hashFailures' | 'isRefused'>
  readonly workers: Pick<WorkerPool, 'counts'>
  readonly front: Pick<ProxyTrust, 'detail'>
  /** Endpoints that are bound. */
  readonly zmqEndpoints: number
}

/** Below this nothing that the broker does can be expected to work for long. */
const LEAST_FREE_BYTES = 16 * 1024 * 1024

/** A database that gives no answer for so long is not at work. */
const DATABASE_ANSWER_MS = 5000

/** What `/readyz` says of each part. A part that works less well than it could is ready, with a detail. */
export async function componentStates(
  deps: ComponentDeps,
): Promise<Readonly<Record<string, ComponentState>>> {
  const { data, volume, reserveBytes, files, workers, front, zmqEndpoints } = deps
  const { wanted, running } = workers.counts
  const [log, disk, room] = await Promise.all([
    logState(deps),
    faultOf(data),
    faultOf(volume, reserveBytes),
  ])
  const hashFailures = files.hashFailures()
  return {
    log,
    disk: disk === undefined ? ready() : broken(disk),
    files: files.watchStatus().state === 'offline' ? broken('the volume is offline') : ready(room),
    watcher: watcherState(files.watchStatus()),
    hashing: ready(hashFailures > 0 ? `${hashFailures} failed, others follow` : undefined),
    users: log.ready ? await usersState(deps) : ready(),
    zmq: ready(zmqEndpoints === 0 ? 'off' : `${zmqEndpoints} endpoints`),
    workers: ready(running < wanted ? `${running} of ${wanted} run` : undefined),
    front: ready(front.detail),
  }
}

async function logState({ database, storage }: ComponentDeps): Promise<ComponentState> {
  const answered = await Promise.race([
    // Of nothing: it is answered when the journal could be synced.
    database.commit([]).then(
      () => true,
      () => false,
    ),
    new Promise<undefined>((resolve) => {
      setTimeout(resolve, DATABASE_ANSWER_MS, undefined).unref()
    }),
  ])
  if (answered === undefined) return broken('the database gives no answer')
  if (!answered) return broken('the database has failed')
  const failure = await storage.check(database)
  return failure === undefined ? ready() : broken(`cannot be written: ${failure}`)
}

async function usersState({ users, files }: ComponentDeps): Promise<ComponentState> {
  const isThere = await access(users).then(
    () => true,
    () => false,
  )
  if (!isThere) return ready('there is no users file; the last good one holds')
  const isRefused = await files.isRefused(USERS_PATH)
  return ready(isRefused ? 'the file on disk was refused; the last good one holds' : undefined)
}

/** Why nothing can be written below `directory`; of a missing one somebody else speaks. */
async function faultOf(directory: string, reserveBytes = 0): Promise<string | undefined> {
  try {
    const freeBytes = await freeBytesAt(directory)
    if (freeBytes < LEAST_FREE_BYTES) return 'the disk is full'
    await access(directory, constants.W_OK)
    if (freeBytes >= reserveBytes) return undefined
    return `less than ${inMebibytes(reserveBytes)} are free: uploads are refused`
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT') return undefined
    return code === 'EROFS' || code === 'EACCES' ? 'it is read-only' : `it fails: ${code}`
  }
}

function watcherState({ state, reason, coverage }: WatchStatus): ComponentState {
  if (state === 'watching') return ready(state)
  if (state !== 'degraded') return broken(state)
  const { watched, unwatched } = coverage
  const share = `${unwatched} of ${watched + unwatched} directories are not watched`
  return ready(`${state}: ${share} (${reason}), scans find what changes there`)
}

function ready(detail?: string): ComponentState {
  return detail === undefined ? { ready: true } : { ready: true, detail }
}

function broken(detail: string): ComponentState {
  return { ready: false, detail }
}
