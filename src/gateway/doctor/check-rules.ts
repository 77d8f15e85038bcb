import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readUsersFile } from '../../auth/users-file/read-users-file.ts'
import { readFilePolicy } from '../file-policy-file.ts'
import type { Settings } from '../settings/settings.ts'
import { UsageError } from '../settings/settings-usage-error.ts'
import { ok, problem, type Verdict, warning } from './finding.ts'

export async function checkUsers({ users, data }: Settings): Promise<Verdict> {
  let bytes: Buffer
  try {
    bytes = await readFile(users)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const kept = join(data, 'state', 'users.last-good.xml')
    const isNew = await stat(kept).then(
      () => false,
      () => true,
    )
    return isNew
      ? ok(`${users} is not there: the first start copies the shipped one`)
      : problem(`${users} is not there; the last good one is in force`, `cp ${kept} ${users}`)
  }
  const hasAdminToken = await stat(join(data, 'admin.token')).then(
    () => true,
    () => false,
  )
  const nowMs = Date.now()
  const read = await readUsersFile(bytes, { nowMs, hasAdminToken: true })
  if (!read.ok) {
    const [first] = read.error
    return problem(
      `${users}:${first?.line}:${first?.column}: ${first?.message}`,
      `broker users check ${users} tells all faults`,
    )
  }
  if (hasAdminToken) {
    return warning(
      `whoever reads ${data}/admin.token may do everything`,
      'delete it when a user of the users file may administer',
    )
  }
  const { ok: hasAdministrator } = await readUsersFile(bytes, { nowMs, hasAdminToken })
  return hasAdministrator
    ? ok(`${read.value.users.length} users in ${users}`)
    : warning('nobody may administer', 'start the broker anew: it writes an administrator token')
}

export async function checkPolicy(settings: Settings): Promise<Verdict> {
  if (settings.filePolicy === undefined) return ok('none')
  try {
    await readFilePolicy(settings)
    return ok(settings.filePolicy)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return problem(error.faults.join('; '), `correct ${settings.filePolicy}`)
  }
}
