import { join } from 'node:path'
import { restoreBackup } from '../../gateway/backup/restore-backup.ts'
import { newEpoch } from '../../gateway/open-event-log.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'
import { UsageError } from '../usage-error.ts'

const OWN_FLAGS = { '--force': 'switch' } as const

export const restore: Command = {
  help: () => `Usage: broker restore FILE [--force] [SETTING...]

Puts a backup in the place of the data directory and of the users file. The broker must not run.
Without --force nothing may be in their place, but for the very users file that the backup holds.
Clients that come back with a position of before are told EVENTS MISSED, reason epoch.

Options:
  --force               put what is there aside, as NAME.before-TIME

${settingsHelp(OWN_FLAGS)}`,
  async run(argv, { env, messages }) {
    const { settings, own, operands } = await commandSettings(argv, env, OWN_FLAGS, 1)
    const [file] = operands
    if (file === undefined) throw new UsageError('which FILE? usage: broker restore FILE')
    const { data, events, files, users } = settings
    const { time, hasFiles, setAside } = await restoreBackup(file, {
      data,
      database: events.kind === 'sqlite' ? events.path : join(data, 'state', 'broker.db'),
      files: files.path,
      users,
      newEpoch: newEpoch(),
      force: own.has('--force'),
    })
    messages.write(`restored the state of ${time}\n`)
    for (const { from, to } of setAside) messages.write(`${from} was replaced; it is now ${to}\n`)
    if (!hasFiles) {
      messages.write(`the backup holds no files: bring ${files.path} back before the start\n`)
    }
    return 0
  },
}
