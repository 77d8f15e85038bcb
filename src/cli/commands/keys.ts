import { openCurveKeys } from '../../gateway/curve-keys.ts'
import type { Command } from '../command.ts'
import { commandSettings, settingsHelp } from '../command-settings.ts'

const OWN_FLAGS = { '--json': 'switch' } as const

export const keys: Command = {
  help: () => `Usage: broker keys [--json] [SETTING...]

Prints the public key of the broker's CURVE endpoints, which clients need to connect; makes the keys when
there are none. The public keys of clients stand in the users file.

${settingsHelp(OWN_FLAGS)}`,
  async run(argv, { env, output }) {
    const { settings, own } = await commandSettings(argv, env, OWN_FLAGS)
    const { publicKey } = await openCurveKeys(settings)
    await output.line(own.has('--json') ? JSON.stringify({ publicKey }) : publicKey)
    return 0
  },
}
