import { randomBytes } from 'node:crypto'
import { createToken, tokenHash } from '../../auth/credentials/tokens.ts'
import { addToken, type NewToken, tokenElement } from '../../auth/users-file/edit-users-file.ts'
import { parseExpiryTime } from '../../auth/users-file/expiry-time.ts'
import { parseDuration } from '../../gateway/settings/settings-units.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import {
  readUsersFileOnDisk,
  requireUser,
  saveUsersFile,
  TAKEN_OVER,
  type UsersFileOnDisk,
} from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'

export const tokenCreate = defineCommand({
  usage: 'broker token create --user NAME [--expires 90d] [--note TEXT] [--write]',
  summary: 'Makes a token for a user and prints it, this once.',
  details: `Without --write it also prints the element to be put into the user of the users file.
With --write the element is added there; a running broker takes it over within a second.`,
  options: {
    user: { type: 'string', short: 'u', value: 'NAME', help: 'whose token it is' },
    expires: {
      type: 'string',
      value: 'WHEN',
      help: 'a time from now, 90d or 12h, or a date, 2027-11-20T00:00:00Z; default never',
    },
    note: { type: 'string', value: 'TEXT', help: 'what it is for' },
    write: { type: 'boolean', help: 'add it to the users file' },
    json: { type: 'boolean', help: 'print {token, id, user, expires}' },
    ...USERS_OPTION,
  },
  positionals: [0, 0],
  async run({ options }, terminal) {
    const { user, note, write = false, json = false } = options
    if (user === undefined || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(user)) {
      throw new UsageError('--user needs the name of a user')
    }
    const expiresMs = expiryOf(options.expires, Date.now())
    const settings = await localSettings(options, terminal.env)
    const file = write ? await readUsersFileOnDisk(settings.users) : await tryToRead(settings.users)
    const secret = createToken()
    const token: NewToken = {
      id: freeId(user, file),
      sha256: tokenHash(secret),
      ...(expiresMs !== undefined && { expiresMs }),
      ...(note !== undefined && { note }),
    }
    if (write && file !== undefined) {
      requireUser(file, user)
      await saveUsersFile(file, addToken(file.text, user, token), settings.data)
    }
    const expires = expiresMs === undefined ? null : new Date(expiresMs).toISOString()
    const answer = { token: secret, id: token.id, user, expires }
    await terminal.output.line(json ? JSON.stringify(answer) : secret)
    if (file?.users.users.some(({ name }) => name === user) === false) {
      terminal.messages.write(`there is no user ${user} in ${settings.users} yet\n`)
    }
    if (write) {
      terminal.messages.write(`${token.id} was added to ${settings.users}; ${TAKEN_OVER}\n`)
    } else if (json) {
      terminal.messages.write(`${tokenElement(token)}\n`)
    } else {
      await terminal.output.line(tokenElement(token))
    }
    return 0
  },
})

/**
 * @param text - a duration such as `90d`, or an RFC 3339 time
 * @returns milliseconds since the epoch, of whole seconds
 */
export function expiryOf(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  const duration = parseDuration(text)
  const expiresMs = duration.ok ? nowMs + duration.value : parseExpiryTime(text)
  if (expiresMs === undefined || !(expiresMs > nowMs) || expiresMs > 253_402_300_799_000) {
    throw new UsageError(
      '--expires needs a time to come: 90d, 12h or a date such as 2027-11-20T00:00:00Z',
    )
  }
  return Math.ceil(expiresMs / 1000) * 1000
}

/** `jenkins-1`, `jenkins-2`, ...; without the file one that nobody else will have. */
export function freeId(user: string, file: UsersFileOnDisk | undefined): string {
  const stem = user.slice(0, 50)
  if (file === undefined) return `${stem}-${randomBytes(4).toString('hex')}`
  const taken = new Set(
    file.users.users.flatMap(({ credentials }) => credentials.map(({ id }) => id.toLowerCase())),
  )
  for (let number = 1; ; number += 1) {
    const id = `${stem}-${number}`
    if (!taken.has(id.toLowerCase())) return id
  }
}

async function tryToRead(path: string): Promise<UsersFileOnDisk | undefined> {
  return readUsersFileOnDisk(path).catch(() => undefined)
}
