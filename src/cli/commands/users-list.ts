import { describeCredential, type ShownCredential } from '../../auth/describe-credential.ts'
import { credentialAnswer, type UsersAnswer } from '../../auth/users-answer.ts'
import type { UserRule } from '../../auth/users-file/users-file.ts'
import { openAdminSession } from '../admin-session.ts'
import { CLIENT_OPTIONS, type ClientOptions } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { readUsersFileOnDisk } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const usersList = defineCommand({
  usage: 'broker users list [--in-force] [--json]',
  summary: 'Lists the users, their roles and what they are known by, of the users file.',
  details: `With --in-force it asks the broker of --url, for which the token of an administrator is needed: who is in force
there, and when each credential was last used. On the machine of the broker its administrator token is found.`,
  options: {
    'in-force': { type: 'boolean', help: 'ask the broker instead of reading the file' },
    ...CLIENT_OPTIONS,
    json: { type: 'boolean', help: 'print {name, roles, credentials}, one user a line' },
    ...USERS_OPTION,
  },
  positionals: [0, 0],
  async run({ options }, terminal) {
    const users = options['in-force']
      ? await usersInForce(options, terminal)
      : (
          await readUsersFileOnDisk((await localSettings(options, terminal.env)).users)
        ).users.users.map(listedUser)
    for (const user of users) {
      await terminal.output.line(options.json ? JSON.stringify(user) : describeUser(user))
    }
    return 0
  },
})

type AnsweredUser = UsersAnswer['users'][number]

interface ShownUser extends Pick<AnsweredUser, 'name' | 'roles'> {
  readonly credentials: readonly ShownCredential[]
}

async function usersInForce(
  options: ClientOptions,
  terminal: Terminal,
): Promise<readonly ShownUser[]> {
  const { requests, signal } = await openAdminSession(options, terminal)
  const request = { method: 'GET', target: '/auth/users', repeat: 'always', signal } as const
  return (await requests.sendForJson<UsersAnswer>(request)).users
}

function listedUser({ name, roles, credentials }: UserRule): ShownUser {
  return { name, roles: [...roles], credentials: credentials.map(credentialAnswer) }
}

function describeUser({ name, roles, credentials }: ShownUser): string {
  const known = credentials.map(describeCredential).join(', ')
  return `${name}: ${roles.join(' ') || 'no role'}; ${known || 'no credential'}`
}
