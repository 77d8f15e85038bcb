import type { Settings } from '../gateway/settings/settings.ts'
import type { OptionTable, OptionValues } from './command.ts'
import { commandSettings } from './command-settings.ts'

/** The option of every command that reads or writes the users file on this machine. */
export const USERS_OPTION = {
  users: {
    type: 'string',
    value: 'FILE',
    help: 'the users file; default that of the settings, ./config/broker_users.xml',
  },
} as const satisfies OptionTable

/** The settings of the broker on this machine, whose users file and data directory are meant. */
export async function localSettings(
  { users }: OptionValues<typeof USERS_OPTION>,
  env: NodeJS.ProcessEnv,
): Promise<Settings> {
  const argv = users === undefined ? [] : [`--users=${users}`]
  return (await commandSettings(argv, env)).settings
}
