import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'

export const serve: Command = {
  help: () => `Usage: broker serve [SETTING...]

Runs the broker until SIGTERM or SIGINT; SIGHUP reads the users file again.

${settingsHelp()}`,
  async run(argv, { env }) {
    const { settings } = await commandSettings(argv, env)
    const gateway = await import('../../gateway/serve.ts')
    return gateway.serve(settings)
  },
}
