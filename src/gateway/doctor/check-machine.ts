import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { ok, problem, type Verdict, warning } from './finding.ts'

const ANSWER_MS = 3_000
const ENOUGH_OPEN_FILES = 65_536
const ENOUGH_WATCHES = 65_536

/** A time before this one is that of a machine whose clock was never set. */
const CLOCK_FLOOR_MS = Date.parse('2026-01-01T00:00:00Z')

export async function checkNode(): Promise<Verdict> {
  const isCurrent = Number(process.versions.node.split('.')[0]) >= 24
  return isCurrent ? ok(process.version) : problem(process.version, 'install Node 24 or newer')
}

/** A wrong clock lets credentials live on or ends them early. */
export async function checkClock(): Promise<Verdict> {
  const now = new Date()
  if (now.getTime() < CLOCK_FLOOR_MS) {
    return problem(`the clock says ${now.toISOString()}`, 'set it: credentials do not expire')
  }
  const question = ['show', '--property=NTPSynchronized', '--value']
  const answer = await promisify(execFile)('timedatectl', question, { timeout: ANSWER_MS }).catch(
    () => undefined,
  )
  return answer?.stdout.trim() === 'no'
    ? warning('the clock is not synchronised', 'timedatectl set-ntp true')
    : ok(now.toISOString())
}

export async function checkOpenFiles(): Promise<Verdict> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  // Node raises the soft limit to the hard one.
  const [, hard] = /^Max open files\s+\w+\s+(\w+)/m.exec(limits) ?? []
  if (hard === undefined) return ok('no limit is known')
  if (hard === 'unlimited' || Number(hard) >= ENOUGH_OPEN_FILES) return ok(hard)
  return warning(`${hard}, and each connection needs one`, 'raise LimitNOFILE or ulimit -n')
}

export async function checkInotify(): Promise<Verdict> {
  const limit = '/proc/sys/fs/inotify/max_user_watches'
  const text = await readFile(limit, 'utf8').catch(() => undefined)
  if (text === undefined) return ok('no limit is known')
  const detail = `${text.trim()} directories may be watched`
  if (Number(text) >= ENOUGH_WATCHES) return ok(detail)
  return warning(detail, `sysctl fs.inotify.max_user_watches=${ENOUGH_WATCHES * 8}`)
}
