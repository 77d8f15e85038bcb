import { parseExpiryTime } from '../../auth/users-file/expiry-time.ts'
import { auditDirectory, auditLines } from '../../gateway/audit/audit-files.ts'
import { parseDuration } from '../../gateway/settings/settings-units.ts'
import { defineCommand } from '../command.ts'
import { commandSettings } from '../command-settings.ts'
import { UsageError } from '../usage-error.ts'

export const audit = defineCommand({
  usage: 'broker audit [--since 24h] [--user NAME] [--action ACTION] [--json]',
  summary: 'Tells who changed what in the broker on this machine, oldest first.',
  options: {
    since: { type: 'string', value: 'WHEN', help: 'a time ago, 24h or 7d, or a date' },
    user: { type: 'string', short: 'u', value: 'NAME', help: 'only what this user did' },
    action: { type: 'string', value: 'ACTION', help: 'only this: file.create, or all of file' },
    json: { type: 'boolean', help: 'print the lines as they are kept' },
    data: {
      type: 'string',
      value: 'DIR',
      help: 'the data directory; default that of the settings',
    },
  },
  positionals: [0, 0],
  async run({ options }, { env, output }) {
    const { user, action, json = false, data } = options
    const sinceMs = timeAgo(options.since, Date.now())
    const argv = data === undefined ? [] : [`--data=${data}`]
    const { settings } = await commandSettings(argv, env)
    for await (const record of auditLines(auditDirectory(settings.data), sinceMs)) {
      if (user !== undefined && record['user'] !== user) continue
      if (action !== undefined && !isOf(String(record['action']), action)) continue
      await output.line(json ? JSON.stringify(record) : describeRecord(record))
    }
    return 0
  },
})

/** @returns milliseconds since the epoch; 0 when nothing was said */
function timeAgo(text: string | undefined, nowMs: number): number {
  if (text === undefined) return 0
  const duration = parseDuration(text)
  const sinceMs = duration.ok ? nowMs - duration.value : parseExpiryTime(text)
  if (sinceMs !== undefined && sinceMs >= 0) return sinceMs
  throw new UsageError('--since needs a time: 24h, 7d or a date such as 2026-11-20T00:00:00Z')
}

function isOf(action: string, wanted: string): boolean {
  return action === wanted || action.startsWith(`${wanted}.`)
}

/** `2026-11-20T10:00:00.000Z file.create builds/app.zip by jenkins (jenkins-1) from 10.0.0.7` */
function describeRecord(record: Readonly<Record<string, unknown>>): string {
  const { time, action, target, user, credential, address, outcome, code, count, details } = record
  const words = [time, action, target]
  if (outcome === 'refused') words.push(`refused ${code}`)
  if (typeof user === 'string') words.push(`by ${user}`)
  if (typeof credential === 'string') words.push(`(${credential})`)
  if (typeof address === 'string') words.push(`from ${address}`)
  if (typeof count === 'number') words.push(`${count} times`)
  if (typeof details === 'object') words.push(JSON.stringify(details))
  return printable(words.join(' '))
}

/** What a client chose may hold what a terminal would obey. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}/gu, '\u{fffd}')
}
