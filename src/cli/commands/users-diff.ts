import { Buffer } from 'node:buffer'
import { describeUsersDiff } from '../../auth/describe-users-diff.ts'
import { credentialAnswer } from '../../auth/users-answer.ts'
import { parseUsersFile } from '../../auth/users-file/parse-users-file.ts'
import { diffUsers, isSameUsers, type UserChange } from '../../auth/users-file/users-diff.ts'
import type { UsersFile } from '../../auth/users-file/users-file.ts'
import { openAdminSession } from '../admin-session.ts'
import { CLIENT_OPTIONS, type ClientOptions } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { describeFault } from '../describe-failure.ts'
import type { Terminal } from '../terminal.ts'
import { readUsersFileOnDisk } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

/** Where a broker serves the users file that is in force. */
const IN_FORCE = 'config/broker_users.xml'

export const usersDiff = defineCommand({
  usage: 'broker users diff [FILE] [--base OTHER]',
  summary: 'Tells what a users file would change: users, roles, grants and credentials.',
  details: `FILE is by default the users file of the settings. It is compared with what is in force in the broker of --url,
for which the token of an administrator is needed, or with another file. On the machine of the broker its administrator
token is found.`,
  options: {
    base: { type: 'string', value: 'OTHER', help: 'a file to compare with, instead of a broker' },
    ...CLIENT_OPTIONS,
    json: { type: 'boolean', help: 'print {same, roles, users, anonymousRoles}' },
    ...USERS_OPTION,
  },
  positionals: [0, 1],
  async run({ options, positionals }, terminal) {
    const path = positionals[0] ?? (await localSettings(options, terminal.env)).users
    const { users: after } = await readUsersFileOnDisk(path)
    const before =
      options.base === undefined
        ? await usersInForce(options, terminal)
        : (await readUsersFileOnDisk(options.base)).users
    const diff = diffUsers(before, after)
    const same = isSameUsers(diff)
    if (options.json) {
      await terminal.output.line(
        JSON.stringify({ same, ...diff, users: diff.users.map(userAnswer) }),
      )
    } else {
      for (const line of describeUsersDiff(diff)) await terminal.output.line(line)
      if (same) terminal.messages.write('no difference\n')
    }
    return 0
  },
})

async function usersInForce(options: ClientOptions, terminal: Terminal): Promise<UsersFile> {
  const { client, signal } = await openAdminSession(options, terminal)
  const download = await client.files.get(IN_FORCE, { signal })
  const bytes = Buffer.from(await download.bytes())
  const parsed = parseUsersFile(bytes, { nowMs: Date.now(), hasAdminToken: true })
  if (parsed.ok) return parsed.value
  throw new Error(`the users file of the broker: ${describeFault(parsed.error[0])}`)
}

function userAnswer({ credentials: { gained, lost }, ...user }: UserChange) {
  const credentials = { gained: gained.map(credentialAnswer), lost: lost.map(credentialAnswer) }
  return { ...user, credentials }
}
