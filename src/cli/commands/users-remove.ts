import { removeUser } from '../../auth/users-file/edit-users-file.ts'
import { defineCommand } from '../command.ts'
import {
  readUsersFileOnDisk,
  requireUser,
  saveUsersFile,
  TAKEN_OVER,
} from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const usersRemove = defineCommand({
  usage: 'broker users remove NAME',
  summary: 'Removes a user from the users file; a running broker closes its connections.',
  options: {
    json: { type: 'boolean', help: 'print {user}' },
    ...USERS_OPTION,
  },
  positionals: [1, 1],
  async run({ options, positionals }, terminal) {
    const [user = ''] = positionals
    const settings = await localSettings(options, terminal.env)
    const file = await readUsersFileOnDisk(settings.users)
    requireUser(file, user)
    await saveUsersFile(file, removeUser(file.text, user), settings.data)
    if (options.json) await terminal.output.line(JSON.stringify({ user }))
    else terminal.messages.write(`${user} was removed from ${file.path}; ${TAKEN_OVER}\n`)
    return 0
  },
})
