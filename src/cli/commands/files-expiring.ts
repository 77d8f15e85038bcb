import { readFilePolicy } from '../../gateway/file-policy-file.ts'
import { parseDuration } from '../../gateway/settings/settings-units.ts'
import { USERS_PATH } from '../../gateway/users-in-force.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'

export const filesExpiring = defineCommand({
  usage: 'broker files expiring --file-policy FILE [--within TIME] [DIRECTORY]',
  summary:
    'Tells what a policy would delete, and how much space that frees; deletes nothing. Asks the broker ' +
    'for its files and judges them by FILE, which need not be in force.',
  options: {
    'file-policy': {
      type: 'string',
      value: 'FILE',
      help: 'the policy; default what BROKER_FILE_POLICY names',
    },
    within: {
      type: 'string',
      value: 'TIME',
      help: 'also what would go in this time, as 12h or 7d; default what would go at once',
    },
    ...CLIENT_OPTIONS,
  },
  positionals: [0, 1],
  async run({ options, positionals }, terminal) {
    const filePolicy = options['file-policy'] ?? terminal.env['BROKER_FILE_POLICY']
    if (!filePolicy) throw new UsageError('--file-policy is missing: by which rules?')
    const policy = await readFilePolicy({ filePolicy })
    const beforeMs = Date.now() + withinMs(options.within)
    const { client, signal } = await openSession(options, terminal)
    const directory = positionals[0]?.replace(/\/$/, '') ?? ''
    let [files, bytes] = [0, 0]
    for await (const entry of client.files.list(directory, { recursive: true, signal })) {
      const { name, size, modified } = entry
      const path = (directory === '' ? name : `${directory}/${name}`) as FilePath
      const retainMs = policy.of('retainMs', path)
      if (retainMs === undefined || modified === null || path === USERS_PATH) continue
      const expiresMs = Date.parse(modified) + retainMs
      if (expiresMs > beforeMs) continue
      const line = { path, size: size ?? 0, modified, expires: new Date(expiresMs).toISOString() }
      const text = `${String(line.size).padStart(14)}  ${line.expires}  ${path}`
      await terminal.output.line(options.json ? JSON.stringify(line) : text)
      files += 1
      bytes += line.size
    }
    terminal.messages.write(`broker: ${files} files would go, and free ${bytes} bytes\n`)
    return 0
  },
})

function withinMs(text: string | undefined): number {
  if (text === undefined) return 0
  const duration = parseDuration(text)
  if (duration.ok) return duration.value
  throw new UsageError(`--within ${duration.error}`)
}
