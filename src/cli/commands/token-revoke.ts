import { hasUsableAdministrator } from '../../auth/users-file/administrators.ts'
import { removeToken } from '../../auth/users-file/edit-users-file.ts'
import type { UsersFile } from '../../auth/users-file/users-file.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { defineCommand } from '../command.ts'
import { hasAdminToken, readUsersFileOnDisk, replaceUsersFile } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const tokenRevoke = defineCommand({
  usage: 'broker token revoke ID',
  summary: 'Removes a token from the users file; a running broker closes its connections.',
  options: {
    json: { type: 'boolean', help: 'print {id, user}' },
    ...USERS_OPTION,
  },
  positionals: [1, 1],
  async run({ options, positionals }, terminal) {
    const [id = ''] = positionals
    const settings = await localSettings(options, terminal.env)
    const { path, text, users } = await readUsersFileOnDisk(settings.users)
    const owner = users.users.find(({ credentials }) =>
      credentials.some((one) => one.kind === 'token' && one.id === id),
    )
    if (owner === undefined)
      throw new BrokerError('NOT_FOUND', `there is no token ${id} in ${path}`)
    if (isLastAdministrator(users, id) && !(await hasAdminToken(settings.data))) {
      throw new BrokerError(
        'READ_ONLY',
        `without ${id} no usable administrator is left, and the broker would refuse the file`,
      )
    }
    const changed = removeToken(text, id)
    if (!changed.ok) throw new Error(changed.error)
    await replaceUsersFile(path, changed.value)
    if (options.json) await terminal.output.line(JSON.stringify({ id, user: owner.name }))
    else terminal.messages.write(`${id} was removed from ${path}\n`)
    return 0
  },
})

function isLastAdministrator(file: UsersFile, id: string): boolean {
  const now = Date.now()
  const users = file.users.map((user) => ({
    ...user,
    credentials: user.credentials.filter((one) => one.kind !== 'token' || one.id !== id),
  }))
  return hasUsableAdministrator(file, now) && !hasUsableAdministrator({ ...file, users }, now)
}
