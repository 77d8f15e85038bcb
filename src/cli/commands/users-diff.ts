import { Buffer } from 'node:buffer'
import { credentialAnswer } from '../../auth/users-answer.ts'
import { parseUsersFile } from '../../auth/users-file/parse-users-file.ts'
import {
  type Difference,
  diffUsers,
  type GrantChange,
  isSameUsers,
  type UserChange,
  type UsersDiff,
} from '../../auth/users-file/users-diff.ts'
import type { ListedCredential, UsersFile } from '../../auth/users-file/users-file.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { describeFault } from '../describe-failure.ts'
import type { Terminal } from '../terminal.ts'
import { readUsersFileOnDisk } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'
import { describeCredential } from './users-list.ts'

/** Where a broker serves the users file that is in force. */
const IN_FORCE = 'config/broker_users.xml'

export const usersDiff = defineCommand({
  usage: 'broker users diff [FILE] [--base OTHER]',
  summary: 'Tells what a users file would change: users, roles, grants and credentials.',
  details: `FILE is by default the users file of the settings. It is compared with what is in force in the broker of --url,
for which the token of an administrator is needed, or with another file.`,
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
      for (const line of describeDiff(diff)) await terminal.output.line(line)
      if (same) terminal.messages.write('no difference\n')
    }
    return 0
  },
})

async function usersInForce(
  options: Parameters<typeof openSession>[0],
  terminal: Terminal,
): Promise<UsersFile> {
  const { client, signal } = await openSession(options, terminal)
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

function* describeDiff({ roles, users, anonymousRoles }: UsersDiff): Generator<string> {
  for (const { name, change, grants, users: count } of roles) {
    const who = `role ${name} (${count} ${count === 1 ? 'user' : 'users'})`
    if (change !== 'changed') yield `${who}: ${change}`
    yield* describe(who, grants, describeGrant)
  }
  for (const { name, change, roles: ofUser, grants, credentials } of users) {
    const who = `user ${name}`
    if (change !== 'changed') yield `${who}: ${change}`
    yield* describe(who, ofUser, describeRole)
    yield* describe(who, grants, describeGrant)
    yield* describe<ListedCredential>(who, credentials, (one) =>
      describeCredential(credentialAnswer(one)),
    )
  }
  yield* describe('anonymous', anonymousRoles, describeRole)
}

function* describe<Item>(
  who: string,
  { gained, lost }: Difference<Item>,
  word: (item: Item) => string,
): Generator<string> {
  for (const item of lost) yield `${who}: - ${word(item)}`
  for (const item of gained) yield `${who}: + ${word(item)}`
}

function describeRole(role: string): string {
  return `role ${role}`
}

function describeGrant({ effect, actions, kind, pattern }: GrantChange): string {
  return `${effect} ${actions.join(' ')}${kind === 'broker' ? '' : ` ${kind}="${pattern}"`}`
}
