import { createToken, tokenHash } from '../../auth/credentials/tokens.ts'
import { addToken, limitToken } from '../../auth/users-file/edit-users-file.ts'
import type { UserRule } from '../../auth/users-file/users-file.ts'
import { parseDuration } from '../../gateway/settings/settings-units.ts'
import type { Result } from '../../protocol/result.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import {
  readUsersFileOnDisk,
  requireUser,
  saveUsersFile,
  TAKEN_OVER,
} from '../users-file-on-disk.ts'
import { localSettings, USERS_OPTION } from '../users-file-option.ts'
import { expiryOf, freeId } from './token-create.ts'

export const tokenRotate = defineCommand({
  usage: 'broker token rotate USER [--overlap 24h] [--expires 90d] [--note TEXT]',
  summary: 'Makes a new token for a user, prints it, this once, and gives the others an end.',
  details: `Both are good until the overlap is over, so that the new one can be put where the old one is without a gap.
What ends sooner keeps its end. "broker users list --in-force --json" tells whether an old one is still used.`,
  options: {
    overlap: { type: 'string', value: 'TIME', help: 'how long the others stay good; default 24h' },
    expires: {
      type: 'string',
      value: 'WHEN',
      help: 'end of the new one, from now, 90d or 12h, or a date; default never',
    },
    note: { type: 'string', value: 'TEXT', help: 'what it is for' },
    json: { type: 'boolean', help: 'print {token, id, user, expires, ending: [{id, expires}]}' },
    ...USERS_OPTION,
  },
  positionals: [1, 1],
  async run({ options, positionals }, terminal) {
    const [name = ''] = positionals
    const nowMs = Date.now()
    const endMs = endOf(options.overlap ?? '24h', nowMs)
    const expiresMs = expiryOf(options.expires, nowMs)
    const settings = await localSettings(options, terminal.env)
    const file = await readUsersFileOnDisk(settings.users)
    const old = livingBeyond(endMs, requireUser(file, name))
    const secret = createToken()
    const id = freeId(name, file)
    const end = expiresMs === undefined ? {} : { expiresMs }
    const note = options.note === undefined ? {} : { note: options.note }
    const added = addToken(file.text, name, { id, sha256: tokenHash(secret), ...end, ...note })
    await saveUsersFile(file, limitAll(added, old, endMs), settings.data)
    const ending = old.map((one) => ({ id: one, expires: new Date(endMs).toISOString() }))
    const expires = expiresMs === undefined ? null : new Date(expiresMs).toISOString()
    const answer = { token: secret, id, user: name, expires, ending }
    await terminal.output.line(options.json ? JSON.stringify(answer) : secret)
    terminal.messages.write(`${id} was added to ${file.path}; ${TAKEN_OVER}\n`)
    for (const one of ending) terminal.messages.write(`${one.id} ends at ${one.expires}\n`)
    return 0
  },
})

function endOf(overlap: string, nowMs: number): number {
  const duration = parseDuration(overlap)
  const endMs = duration.ok ? Math.ceil((nowMs + duration.value) / 1000) * 1000 : Infinity
  if (endMs < 253_402_300_799_000) return endMs
  throw new UsageError('--overlap needs a time such as 24h, or 0s for none')
}

function livingBeyond(endMs: number, { credentials }: UserRule): readonly string[] {
  return credentials
    .filter(({ kind, expiresMs = Infinity }) => kind === 'token' && expiresMs > endMs)
    .map(({ id }) => id)
}

function limitAll(text: Result<string>, ids: readonly string[], endMs: number): Result<string> {
  return ids.reduce(
    (edited, id) => (edited.ok ? limitToken(edited.value, id, endMs) : edited),
    text,
  )
}
