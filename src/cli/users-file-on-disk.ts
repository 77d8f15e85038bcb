import { randomUUID } from 'node:crypto'
import { chown, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { adminTokenPath } from '../auth/credentials/admin-token.ts'
import { parseUsersFile } from '../auth/users-file/parse-users-file.ts'
import type { UsersFile } from '../auth/users-file/users-file.ts'
import { describeFault } from './describe-failure.ts'
import { describeSystemError } from './describe-system-error.ts'

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

/** Puts `text` in the place of the file in one step; owner and mode stay, a link is followed. */
export async function replaceUsersFile(path: string, text: string): Promise<void> {
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

/** True while the broker's own administrator token is in its data directory. */
export async function hasAdminToken(dataDirectory: string): Promise<boolean> {
  return stat(adminTokenPath(dataDirectory)).then(
    (stats) => stats.isFile(),
    () => false,
  )
}
