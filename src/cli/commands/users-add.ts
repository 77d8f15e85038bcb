import { addUser } from '../../auth/users-file/edit-users-file.ts'
import { isName } from '../../auth/users-file/element-reader.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import { readUsersFileOnDisk, saveUsersFile, TAKEN_OVER } from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const usersAdd = defineCommand({
  usage: 'broker users add NAME [--roles "ROLE ..."]',
  summary: 'Adds a user to the users file; a running broker takes it over within a second.',
  details: 'A credential comes afterwards, with: broker token create --user NAME --write',
  options: {
    roles: { type: 'string', value: 'ROLES', help: 'roles of the users file, set apart by spaces' },
    json: { type: 'boolean', help: 'print {user, roles}' },
    ...USERS_OPTION,
  },
  positionals: [1, 1],
  async run({ options, positionals }, terminal) {
    const [user = ''] = positionals
    if (!isName(user)) throw new UsageError(`${user} is no name of a user`)
    const roles = (options.roles ?? '').split(/[\s,]+/).filter((role) => role !== '')
    const settings = await localSettings(options, terminal.env)
    const file = await readUsersFileOnDisk(settings.users)
    const unknown = roles.find((role) => !file.users.roles.some(({ name }) => name === role))
    if (unknown !== undefined) throw new UsageError(`${unknown} is no role of ${file.path}`)
    await saveUsersFile(file, addUser(file.text, user, roles), settings.data)
    if (options.json) await terminal.output.line(JSON.stringify({ user, roles }))
    else terminal.messages.write(`${user} was added to ${file.path}; ${TAKEN_OVER}\n`)
    return 0
  },
})
