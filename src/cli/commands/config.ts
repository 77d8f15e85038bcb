import { settingsAsJson, settingsAsText } from '../../gateway/settings/settings-description.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'

const OWN_FLAGS = { '--json': 'switch' } as const

export const config: Command = {
  help: () => `Usage: broker config [--json] [SETTING...]

Prints the settings with which broker serve would run, secrets left out. With --json it prints a
settings file.

${settingsHelp(OWN_FLAGS)}`,
  async run(argv, { env, output }) {
    const { settings, own } = await commandSettings(argv, env, OWN_FLAGS)
    const isJson = own.has('--json')
    const text = isJson
      ? `${JSON.stringify(settingsAsJson(settings), undefined, 2)}\n`
      : settingsAsText(settings)
    await output.write(text)
    return 0
  },
}
