import type { Stats } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Database } from '../../database/database.ts'
import { errorCode } from '../../files/store/storage-fault.ts'
import type { Settings } from '../settings/settings.ts'
import { ok, problem, type Verdict, warning } from './finding.ts'

const ENOUGH_BYTES = 1024 ** 3
const LEAST_BYTES = 64 * 1024 ** 2

const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002
const OTHERS_PASS = 0o001

export async function checkDirectories(settings: Settings): Promise<readonly Verdict[]> {
  const { data, files, users, proxy } = settings
  const account = await accountOf(settings)
  const state = join(data, 'state')
  const served = proxy === 'nginx' ? [data, state, join(state, 'volumes')] : []
  return await Promise.all([
    ...[data, state, files.path, dirname(users)].map((path) => checkDirectory(path, account)),
    ...served.map(checkPassage),
  ])
}

async function checkDirectory(path: string, account: Account): Promise<Verdict> {
  const found = await statOf(path)
  if (found === undefined) {
    const parent = await nearest(dirname(path))
    return mayUse(parent.stats, account)
      ? ok(`${path} will be made`)
      : problem(`${path} is not there, and ${parent.path} is another's`, `mkdir and chown ${path}`)
  }
  if (!found.isDirectory()) {
    return problem(`${path} is no directory`, 'remove it, or name another')
  }
  if (!mayUse(found, account)) {
    return problem(
      `${path} cannot be written by ${account.name}`,
      `chown it to the account of the broker`,
    )
  }
  return (found.mode & OTHERS_WRITE) !== 0 && (found.mode & 0o1000) === 0
    ? problem(`everybody may write into ${path}`, `chmod o-w ${path}`)
    : ok(path)
}

/** Nginx, as another account, passes through to what it sends. */
async function checkPassage(path: string): Promise<Verdict> {
  const found = await statOf(path)
  return found === undefined || (found.mode & OTHERS_PASS) !== 0
    ? ok(`Nginx may pass through ${path}`)
    : warning(`the account of Nginx may not pass through ${path}`, `chmod o+x ${path}`)
}

export async function checkSecrets({ data, proxy, proxySecretFile }: Settings): Promise<Verdict[]> {
  const kept = ['admin.token', 'state/ticket.key', 'state/curve.key'].map((name) =>
    join(data, name),
  )
  const shown = proxy === 'off' || proxySecretFile === undefined ? [] : [proxySecretFile]
  const verdicts = await Promise.all([
    ...kept.map(async (path) => checkSecret(path, await statOf(path))),
    ...shown.map(async (path) => checkSecret(path, await stat(path))),
  ])
  return verdicts.flat()
}

export function checkSecret(path: string, found: Stats | undefined): readonly Verdict[] {
  if (found === undefined) return []
  return (found.mode & (OTHERS_READ | OTHERS_WRITE)) !== 0
    ? [problem(`everybody may read ${path}, which is a secret`, `chmod o-rw ${path}`)]
    : [ok(path)]
}

export async function checkSpace({ data, files }: Settings): Promise<readonly Verdict[]> {
  const places = [await nearest(data), await nearest(files.path)]
  const apart = places.filter(
    ({ stats }, i) => places.findIndex((other) => other.stats.dev === stats.dev) === i,
  )
  return await Promise.all(apart.map(({ path }) => checkFree(path)))
}

async function checkFree(path: string): Promise<Verdict> {
  const { bavail, bsize } = await statfs(path)
  const free = bavail * bsize
  const detail = `${Math.floor(free / 1024 ** 2)} MiB are free below ${path}`
  if (free >= ENOUGH_BYTES) return ok(detail)
  return free < LEAST_BYTES ? problem(detail, 'make room') : warning(detail, 'make room')
}

export async function checkDatabase({ events, data }: Settings): Promise<Verdict> {
  const path = events.kind === 'sqlite' ? events.path : join(data, 'state', 'broker.db')
  if ((await statOf(path)) === undefined) return ok('there is none yet')
  try {
    await using database = await Database.open(path)
    const [row] = await database.query<{ quick_check: string }>('PRAGMA quick_check')
    if (row?.quick_check === 'ok') return ok(path)
    return problem(`${path} is damaged: ${row?.quick_check}`, 'restore a backup')
  } catch (error) {
    const { message } = error as Error
    // Its broker looks after it.
    if (/in use/.test(message)) return ok('in use by a running broker')
    return ['EACCES', 'EPERM', 'EROFS'].includes(errorCode(error) ?? '')
      ? problem(`${path} cannot be opened: ${message}`, 'let the account of the broker write there')
      : problem(`${path}: ${message}`, 'restore a backup, or move it away to begin anew')
  }
}

/** Whose rights count: root may do everything, so the owner of the data is judged instead. */
interface Account {
  readonly name: string
  readonly uid: number
  readonly gids: readonly number[]
}

async function accountOf({ data }: Settings): Promise<Account> {
  const own = process.getuid?.() ?? 0
  if (own !== 0) {
    return { name: 'this account', uid: own, gids: process.getgroups?.() ?? [] }
  }
  const found = await statOf(data)
  return { name: `the owner of ${data}`, uid: found?.uid ?? 0, gids: found ? [found.gid] : [] }
}

function mayUse({ mode, uid, gid }: Stats, account: Account): boolean {
  if (account.uid === 0) return true
  const shift = uid === account.uid ? 6 : account.gids.includes(gid) ? 3 : 0
  return ((mode >> shift) & 0o7) === 0o7
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The directory, or the nearest above it that is there. */
async function nearest(path: string): Promise<{ readonly path: string; readonly stats: Stats }> {
  const stats = await statOf(path)
  return stats === undefined ? nearest(dirname(path)) : { path, stats }
}
