import { removeToken } from '../../auth/users-file/edit-users-file.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { defineCommand } from '../command.ts'
import { readUsersFileOnDisk, saveUsersFile, TAKEN_OVER } from '../users-file-on-disk.ts'
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
    const file = await readUsersFileOnDisk(settings.users)
    const { path, text, users } = file
    const owner = users.users.find(({ credentials }) =>
      credentials.some((one) => one.kind === 'token' && one.id === id),
    )
    if (owner === undefined)
      throw new BrokerError('NOT_FOUND', `there is no token ${id} in ${path}`)
    await saveUsersFile(file, removeToken(text, id), settings.data)
    if (options.json) await terminal.output.line(JSON.stringify({ id, user: owner.name }))
    else terminal.messages.write(`${id} was removed from ${path}; ${TAKEN_OVER}\n`)
    return 0
  },
})
