import { randomUUID } from 'node:crypto'
import { chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { adminTokenPath } from '../auth/credentials/admin-token.ts'
import { hasUsableAdministrator } from '../auth/users-file/administrators.ts'
import { parseUsersFile } from '../auth/users-file/parse-users-file.ts'
import type { UserRule, UsersFile } from '../auth/users-file/users-file.ts'
import { BrokerError } from '../protocol/problem.ts'
import type { Result } from '../protocol/result.ts'
import { describeFault } from './describe-failure.ts'
import { describeSystemError } from './describe-system-error.ts'

/** Follows what was changed: a token that was just made is 401 for that long. */
export const TAKEN_OVER = 'a running broker takes it over within a second'

/** A users file as it was read. */
export interface UsersFileOnDisk {
  readonly path: string
  readonly text: string
  readonly users: UsersFile
}

/**
 * Reads a file that is valid apart from the question whether it leaves a usable administrator.
 *
 * @throws {Error} when it cannot be read or has a fault
 */
export async function readUsersFileOnDisk(path: string): Promise<UsersFileOnDisk> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw describeSystemError(`cannot read ${path}`, error)
  })
  const parsed = parseUsersFile(bytes, { nowMs: Date.now(), hasAdminToken: true })
  if (parsed.ok) return { path, text: bytes.toString('utf8'), users: parsed.value }
  const [fault] = parsed.error
  throw new Error(`${path} is not valid: ${describeFault(fault)}`)
}

/** @throws {BrokerError} `NOT_FOUND` */
export function requireUser({ path, users }: UsersFileOnDisk, name: string): UserRule {
  const user = users.users.find((one) => one.name === name)
  if (user === undefined) throw new BrokerError('NOT_FOUND', `there is no user ${name} in ${path}`)
  return user
}

/**
 * Puts what an edit made in the place of the file.
 *
 * @param data - the data directory of the broker, whose own token counts as an administrator
 * @throws {BrokerError} `READ_ONLY` when it would take the last usable administrator away,
 *   `PRECONDITION_FAILED` when somebody else changed the file since it was read
 */
export async function saveUsersFile(
  file: UsersFileOnDisk,
  edited: Result<string>,
  data: string,
): Promise<void> {
  if (!edited.ok) throw new Error(edited.error)
  const nowMs = Date.now()
  const parsed = parseUsersFile(Buffer.from(edited.value), { nowMs, hasAdminToken: true })
  if (!parsed.ok) throw new Error(`it would not be valid: ${describeFault(parsed.error[0])}`)
  const isLast =
    hasUsableAdministrator(file.users, nowMs) && !hasUsableAdministrator(parsed.value, nowMs)
  if (isLast && !(await hasAdminToken(data))) {
    throw new BrokerError(
      'READ_ONLY',
      'no usable administrator would be left, and the broker would refuse the file',
    )
  }
  if ((await readFile(file.path, 'utf8')) !== file.text) {
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `${file.path} was changed by somebody else meanwhile; nothing was written`,
    )
  }
  await replaceFile(file.path, edited.value)
}

/** In one step; owner and mode stay, a link is followed. */
async function replaceFile(path: string, text: string): Promise<void> {
  try {
    const target = await realpath(path)
    const { mode, uid, gid } = await stat(target)
    const draft = join(dirname(target), `.${randomUUID()}.part`)
    try {
      await using file = await open(draft, 'wx', mode & 0o777)
      await file.writeFile(text)
      await file.chmod(mode & 0o777)
      // As another user than the owner this fails, and then the owner is not ours to give.
      await chown(draft, uid, gid).catch(() => {})
      await file.sync()
      await rename(draft, target)
    } finally {
      await rm(draft, { force: true })
    }
  } catch (error) {
    throw describeSystemError(`cannot write ${path}`, error)
  }
}

async function hasAdminToken(dataDirectory: string): Promise<boolean> {
  return stat(adminTokenPath(dataDirectory)).then(
    (stats) => stats.isFile(),
    () => false,
  )
}
