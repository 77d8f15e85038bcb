import type { UsersFault } from './users-fault.ts'
import type { UsersFile } from './users-file.ts'

/** A smaller file is changed by hand, where losing most of it is seen. */
const MIN_USERS = 10

/**
 * Guards an upload against a file that was cut or made from the wrong source: a fault when more than half
 * of 10 or more users would vanish. A renamed user has vanished.
 */
export function shrinkFault(before: UsersFile, after: UsersFile): UsersFault | undefined {
  const names = new Set(after.users.map((user) => user.name))
  const total = before.users.length
  const gone = before.users.filter((user) => !names.has(user.name)).length
  if (total < MIN_USERS || gone * 2 <= total) return undefined
  const message = `${gone} of ${total} users would vanish; the header X-Confirm-Shrink: true confirms it`
  return { message, line: 1, column: 1 }
}
