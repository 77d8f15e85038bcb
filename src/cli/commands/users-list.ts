import type { ListedCredential, UserRule } from '../../auth/users-file/users-file.ts'
import { defineCommand } from '../command.ts'
import { readUsersFileOnDisk } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const usersList = defineCommand({
  usage: 'broker users list [--json]',
  summary: 'Lists the users of the users file, their roles and what they are known by.',
  options: {
    json: { type: 'boolean', help: 'print {name, roles, credentials}, one user a line' },
    ...USERS_OPTION,
  },
  positionals: [0, 0],
  async run({ options }, { env, output }) {
    const settings = await localSettings(options, env)
    const { users } = await readUsersFileOnDisk(settings.users)
    for (const user of users.users) {
      await output.line(options.json ? JSON.stringify(userAnswer(user)) : describeUser(user))
    }
    return 0
  },
})

function userAnswer({ name, roles, credentials }: UserRule) {
  return { name, roles, credentials: credentials.map(credentialAnswer) }
}

/** Without the hash of a token, which nobody needs to see. */
export function credentialAnswer({ kind, id, expiresMs, note }: ListedCredential) {
  const expires = expiresMs === undefined ? null : new Date(expiresMs).toISOString()
  return { kind, id, expires, ...(note !== undefined && { note }) }
}

function describeUser({ name, roles, credentials }: UserRule): string {
  const known = credentials.map(describeCredential).join(', ')
  return `${name}: ${roles.join(' ') || 'no role'}; ${known || 'no credential'}`
}

export function describeCredential({ kind, id, expiresMs }: ListedCredential): string {
  const until = expiresMs === undefined ? '' : ` until ${new Date(expiresMs).toISOString()}`
  const name = kind === 'token' ? id : `${id.slice(0, 12)}…`
  return `${kind} ${name}${until}`
}
