import { constants } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { readUsersFile } from '../auth/users-file/read-users-file.ts'
import { Database } from '../database/database.ts'
import type { Settings } from './settings/settings.ts'

/** What one check found: `warning` is for what works and may not for long. */
export interface Finding {
  readonly check: string
  readonly verdict: 'ok' | 'warning' | 'fault'
  /** What is so, and for a warning or a fault what to do about it. */
  readonly detail: string
}

const ENOUGH_BYTES = 1024 ** 3
const LEAST_BYTES = 64 * 1024 ** 2
const ENOUGH_OPEN_FILES = 65_536
const ENOUGH_WATCHES = 65_536

/** A time before this one is that of a machine whose clock was never set. */
const CLOCK_FLOOR_MS = Date.parse('2026-01-01T00:00:00Z')

type Verdict = Omit<Finding, 'check'>

/** Looks at everything on this machine that a broker with these settings depends on. Changes nothing. */
export async function examine(settings: Settings): Promise<readonly Finding[]> {
  const { data, files } = settings
  const checks: readonly [string, () => Promise<Verdict>][] = [
    ['node', checkNode],
    ['clock', checkClock],
    ['users', () => checkUsers(settings)],
    ['data', () => checkDirectory(data)],
    ['files', () => checkDirectory(files.path)],
    ['space', () => checkSpace(data)],
    ['database', () => checkDatabase(settings)],
    ['proxy secret', () => checkSecret(settings)],
    ['open files', checkOpenFiles],
    ['inotify', checkInotify],
  ]
  const findings: Finding[] = []
  for (const [check, examineIt] of checks) {
    const failed = (error: Error): Verdict => fault(error.message)
    findings.push({ check, ...(await examineIt().catch(failed)) })
  }
  return findings
}

async function checkNode(): Promise<Verdict> {
  const isCurrent = Number(process.versions.node.split('.')[0]) >= 24
  return isCurrent ? ok(process.version) : fault(`${process.version}: install Node 24 or newer`)
}

async function checkClock(): Promise<Verdict> {
  const now = new Date()
  if (now.getTime() > CLOCK_FLOOR_MS) return ok(now.toISOString())
  return fault(`the clock says ${now.toISOString()}: set it, or credentials do not expire`)
}

async function checkUsers({ users, data }: Settings): Promise<Verdict> {
  const bytes = await readFile(users).catch(() => undefined)
  if (bytes === undefined) {
    return (await isThere(users))
      ? fault(
          `${users} cannot be read: run this as the account of the broker, or give it the right`,
        )
      : warning(`${users} is not there: the broker copies the one it was shipped with`)
  }
  const hasAdminToken = await isThere(join(data, 'admin.token'))
  const read = await readUsersFile(bytes, { nowMs: Date.now(), hasAdminToken: true })
  if (!read.ok) {
    const [first] = read.error
    const place = `${users}:${first?.line}:${first?.column}`
    return fault(`${place}: ${first?.message}; broker users check tells all`)
  }
  return hasAdminToken
    ? warning(`${data}/admin.token may do everything: delete it when a user is an administrator`)
    : ok(`${read.value.users.length} users`)
}

async function checkDirectory(path: string): Promise<Verdict> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) {
    await access(await nearest(path), constants.W_OK)
    return ok(`${path} will be made`)
  }
  if (!found.isDirectory()) return fault(`${path} is no directory: remove it, or name another`)
  const mayWrite = await access(path, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  return mayWrite ? ok(path) : fault(`${path} cannot be written by this account: chown it`)
}

async function checkSpace(data: string): Promise<Verdict> {
  const { bavail, bsize } = await statfs(await nearest(data))
  const free = bavail * bsize
  const words = `${Math.floor(free / 1024 ** 2)} MiB are free below ${data}`
  if (free < LEAST_BYTES) return fault(`${words}: make room, or move it with --data`)
  return free < ENOUGH_BYTES ? warning(`${words}: make room`) : ok(words)
}

async function checkDatabase({ events, data }: Settings): Promise<Verdict> {
  const path = events.kind === 'sqlite' ? events.path : join(data, 'state', 'broker.db')
  if (!(await isThere(path))) return ok('there is none yet')
  try {
    await using database = await Database.open(path)
    const [row] = await database.query<{ quick_check: string }>('PRAGMA quick_check')
    if (row?.quick_check === 'ok') return ok('whole')
    return fault(`${path} is damaged: ${row?.quick_check}; restore a backup`)
  } catch (error) {
    // Its broker looks after it.
    if (/in use/.test((error as Error).message)) return ok('in use by a running broker')
    throw error
  }
}

async function checkSecret({ proxy, proxySecretFile }: Settings): Promise<Verdict> {
  if (proxy === 'off' || proxySecretFile === undefined) return ok('none is needed')
  const { mode } = await stat(proxySecretFile)
  const isOpen = (mode & 0o004) !== 0
  return isOpen
    ? fault(`everybody may read ${proxySecretFile} and pose as the proxy: chmod o-r`)
    : ok(proxySecretFile)
}

async function checkOpenFiles(): Promise<Verdict> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits) ?? []
  if (hard === undefined) return ok('no limit is known')
  // Node raises the soft one to the hard one.
  const limit = Math.max(Number(soft), Number(hard))
  if (limit >= ENOUGH_OPEN_FILES) return ok(String(limit))
  return warning(`${limit}: each connection needs one; raise LimitNOFILE or ulimit -n`)
}

async function checkInotify(): Promise<Verdict> {
  const text = await readFile('/proc/sys/fs/inotify/max_user_watches', 'utf8').catch(
    () => undefined,
  )
  if (text === undefined) return ok('no limit is known')
  const watches = Number(text)
  if (watches >= ENOUGH_WATCHES) return ok(`${watches} directories may be watched`)
  return warning(`${watches} directories may be watched: raise fs.inotify.max_user_watches`)
}

/** The directory, or the nearest above it that is there. */
async function nearest(path: string): Promise<string> {
  return (await isThere(path)) || path === dirname(path) ? path : nearest(dirname(path))
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function ok(detail: string): Verdict {
  return { verdict: 'ok', detail }
}

function warning(detail: string): Verdict {
  return { verdict: 'warning', detail }
}

function fault(detail: string): Verdict {
  return { verdict: 'fault', detail }
}
