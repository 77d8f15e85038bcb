import { readFile } from 'node:fs/promises'
import { hasUsableAdministrator } from '../../auth/users-file/administrators.ts'
import { parseUsersFile } from '../../auth/users-file/parse-users-file.ts'
import { defineCommand } from '../command.ts'
import { describeFault } from '../describe-failure.ts'
import { describeSystemError } from '../describe-system-error.ts'
import { EXIT_CODES } from '../exit-code.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const usersCheck = defineCommand({
  usage: 'broker users check [FILE]',
  summary:
    'Validates a users file, by default that of the settings; tells every fault and its place.',
  options: {
    json: { type: 'boolean', help: 'print {valid, users, roles, errors}' },
    ...USERS_OPTION,
  },
  positionals: [0, 1],
  async run({ options, positionals }, { env, output, messages }) {
    const path = positionals[0] ?? (await localSettings(options, env)).users
    const bytes = await readFile(path).catch((error: unknown) => {
      throw describeSystemError(`cannot read ${path}`, error)
    })
    const nowMs = Date.now()
    const parsed = parseUsersFile(bytes, { nowMs, hasAdminToken: true })
    const errors = parsed.ok ? [] : parsed.error
    const counts = {
      users: parsed.ok ? parsed.value.users.length : 0,
      roles: parsed.ok ? parsed.value.roles.length : 0,
    }
    if (options.json) await output.line(JSON.stringify({ valid: parsed.ok, ...counts, errors }))
    if (!parsed.ok) {
      for (const fault of errors) messages.write(`${path}:${describeFault(fault)}\n`)
      return EXIT_CODES.failed
    }
    if (!options.json) {
      await output.line(`${path}: valid, ${counts.users} users, ${counts.roles} roles`)
    }
    if (!hasUsableAdministrator(parsed.value, nowMs)) {
      messages.write(
        'broker: warning: no user can administer with what this file lists; ' +
          'the broker takes it only while its admin.token exists\n',
      )
    }
    return EXIT_CODES.ok
  },
})
