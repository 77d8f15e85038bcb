import type { Settings } from '../settings/settings.ts'
import { checkRunning } from './check-broker.ts'
import { checkDatabase, checkDirectories, checkSecrets, checkSpace } from './check-data.ts'
import { checkClock, checkInotify, checkNode, checkOpenFiles } from './check-machine.ts'
import { checkNginx } from './check-nginx.ts'
import { checkPolicy, checkUsers } from './check-rules.ts'
import { type Finding, problem, type Verdict } from './finding.ts'

export interface Examination {
  readonly settings: Settings
  /** The version of this program. */
  readonly version: string
  /** The prefix of the Nginx to examine; undefined for those that run and pass requests on to the broker. */
  readonly nginx: string | undefined
}

type Check = () => Promise<Verdict | readonly Verdict[]>

/** Looks at everything on this machine that a broker with these settings depends on. Changes nothing. */
export async function examine(examination: Examination): Promise<readonly Finding[]> {
  const { settings } = examination
  const checks: Readonly<Record<string, Check>> = {
    node: checkNode,
    clock: checkClock,
    broker: () => checkRunning(examination),
    users: () => checkUsers(settings),
    'file policy': () => checkPolicy(settings),
    directories: () => checkDirectories(settings),
    secrets: () => checkSecrets(settings),
    space: () => checkSpace(settings),
    database: () => checkDatabase(settings),
    'open files': checkOpenFiles,
    inotify: checkInotify,
    nginx: () => checkNginx(examination),
  }
  const findings: Finding[] = []
  for (const [check, look] of Object.entries(checks)) {
    const verdicts = [await look().catch(unseen)].flat()
    findings.push(...verdicts.map((verdict) => ({ check, ...verdict })))
  }
  return findings
}

function unseen(error: Error): Verdict {
  return problem(`could not be examined: ${error.message}`, 'run this as the account of the broker')
}
