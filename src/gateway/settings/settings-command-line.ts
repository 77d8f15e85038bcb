import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { err, ok, type Result } from '../../protocol/result.ts'
import { parseSettings, type Settings } from './settings.ts'
import { type Arguments, type OwnFlags, parseArguments } from './settings-arguments.ts'
import { CONFIG_VARIABLE, type Environment } from './settings-sources.ts'
import { UsageError } from './settings-usage-error.ts'

/** Settings together with what else a command line says. */
export interface CommandSettings extends Pick<Arguments, 'own' | 'operands'> {
  readonly settings: Settings
}

/**
 * Reads a command line, the environment and the settings file that either of them names.
 *
 * @param argv - without the program and the command
 * @param ownFlags - those that the command has beside the settings
 */
export async function loadSettings(
  argv: readonly string[],
  env: Environment,
  cwd: string,
  ownFlags: OwnFlags = {},
): Promise<Result<CommandSettings, UsageError>> {
  const parsed = parseArguments(argv, ownFlags)
  if (!parsed.ok) return err(new UsageError(parsed.error))
  const { settings: flags, own, operands, configFile } = parsed.value
  const name = configFile ?? (env[CONFIG_VARIABLE] || undefined)
  const text = name === undefined ? undefined : await readText(resolve(cwd, name))
  if (text !== undefined && !text.ok) {
    return err(new UsageError([`${name}: cannot be read (${text.error})`]))
  }
  const file = name === undefined || text === undefined ? {} : { file: { name, text: text.value } }
  const settings = parseSettings({ flags, env, cwd, ...file })
  return settings.ok ? ok({ settings: settings.value, own, operands }) : settings
}

async function readText(path: string): Promise<Result<string>> {
  try {
    return ok(await readFile(path, 'utf8'))
  } catch (error) {
    return err(error instanceof Error && 'code' in error ? String(error.code) : 'error')
  }
}
