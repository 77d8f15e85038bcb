import type { OwnFlags } from '../gateway/settings/settings-arguments.ts'
import { type CommandSettings, loadSettings } from '../gateway/settings/settings-command-line.ts'
import { SETTING_ROWS } from '../gateway/settings/settings-schema.ts'
import { UsageError } from './usage-error.ts'

/**
 * The settings of the broker that a command is about, and the command's own flags.
 *
 * @param operands - most words that are no flags
 * @throws {UsageError} with a line for every fault
 */
export async function commandSettings(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  ownFlags: OwnFlags = {},
  operands = 0,
): Promise<CommandSettings> {
  const loaded = await loadSettings(argv, env, process.cwd(), ownFlags)
  if (!loaded.ok) throw new UsageError(loaded.error.faults.join('\n'))
  const extra = loaded.value.operands[operands]
  if (extra !== undefined) throw new UsageError(`${extra}: what is this for?`)
  return loaded.value
}

/** The lines of the help for the flags of the settings, without those that the command has itself. */
export function settingsHelp(ownFlags: OwnFlags = {}): string {
  const rows = SETTING_ROWS.filter(({ flag }) => !Object.hasOwn(ownFlags, flag))
  const lines = rows.map(({ flag, placeholder, description, fallback, unset }) => {
    const value = fallback ?? unset
    const words = `${description.replaceAll('`', '')}${value ? ` Default: ${value}` : ''}`
    return `  ${flag} ${placeholder}\n${wrap(words, '        ')}`
  })
  return `Settings, also in the environment (--log-level is BROKER_LOG_LEVEL) and in a file:
  --config FILE
        A settings file in JSON. Default: what BROKER_CONFIG names.
${lines.join('\n')}
`
}

const WIDTH = 96

function wrap(text: string, indent: string): string {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > WIDTH && line !== indent) {
      lines.push(line)
      line = indent
    }
    line += line === indent ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
}
