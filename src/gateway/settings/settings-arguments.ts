import { err, ok, type Result } from '../../protocol/result.ts'
import { nearestName } from './settings-nearest-name.ts'
import { SETTING_ROWS, type SettingKey } from './settings-schema.ts'

/**
 * Flags that a command has beside those of the settings: with a value, or a switch without one. One that
 * is called like a setting takes its place on this command line.
 */
export type OwnFlags = Readonly<Record<`--${string}`, 'value' | 'switch'>>

/** A command line taken apart. */
export interface Arguments {
  readonly settings: ReadonlyMap<SettingKey, string>
  /** What `--config` names. */
  readonly configFile: string | undefined
  /** The command's own flags by name, e.g. `--dir`; a switch is `true`. */
  readonly own: ReadonlyMap<string, string | true>
  /** Words that are no flags. */
  readonly operands: readonly string[]
}

export const CONFIG_FLAG = '--config'

const KEYS_BY_FLAG: ReadonlyMap<string, SettingKey> = new Map(
  SETTING_ROWS.map(({ flag, key }) => [flag, key]),
)

/**
 * @param argv - without the program and the command: `['--data', '/srv', '--json']`. A value follows its
 *   flag or an `=`; after `--` all are operands
 * @returns the parts, or a line for every fault
 */
export function parseArguments(
  argv: readonly string[],
  ownFlags: OwnFlags = {},
): Result<Arguments, readonly string[]> {
  const kinds = new Map<string, 'value' | 'switch'>([
    [CONFIG_FLAG, 'value'],
    ...SETTING_ROWS.map(({ flag }) => [flag, 'value'] as const),
    ...Object.entries(ownFlags),
  ])
  const given = new Map<string, string | true>()
  const operands: string[] = []
  const faults: string[] = []
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? ''
    if (word === '--') {
      operands.push(...argv.slice(i + 1))
      break
    }
    if (!word.startsWith('--')) {
      operands.push(word)
      continue
    }
    const flag = word.split('=', 1)[0] ?? word
    const inline = word.length > flag.length ? word.slice(flag.length + 1) : undefined
    const kind = kinds.get(flag)
    const next = kind === 'value' && inline === undefined ? argv[i + 1] : undefined
    const value = inline ?? (next?.startsWith('--') ? undefined : next)
    const fault = flagFault(flag, kind, value, given.has(flag), [...kinds.keys()])
    if (fault !== undefined) faults.push(fault)
    if (value !== undefined && inline === undefined) i += 1
    given.set(flag, kind === 'switch' ? true : (value ?? ''))
  }
  return faults.length > 0 ? err(faults) : ok(sortOut(given, operands, ownFlags))
}

function flagFault(
  flag: string,
  kind: 'value' | 'switch' | undefined,
  value: string | undefined,
  isRepeated: boolean,
  known: readonly string[],
): string | undefined {
  if (kind === undefined) return unknownName(flag, 'flag', known)
  if (isRepeated) return `${flag} is given twice`
  if (kind === 'switch') return value === undefined ? undefined : `${flag} takes no value`
  return value === undefined ? `${flag} needs a value` : undefined
}

function sortOut(
  given: ReadonlyMap<string, string | true>,
  operands: readonly string[],
  ownFlags: OwnFlags,
): Arguments {
  const settings = new Map<SettingKey, string>()
  const own = new Map<string, string | true>()
  for (const [flag, value] of given) {
    const key = Object.hasOwn(ownFlags, flag) ? undefined : KEYS_BY_FLAG.get(flag)
    if (key !== undefined) settings.set(key, String(value))
    else if (flag !== CONFIG_FLAG) own.set(flag, value)
  }
  return { settings, configFile: given.get(CONFIG_FLAG)?.toString(), own, operands }
}

/** What to say of a name that nothing has. */
export function unknownName(name: string, what: string, known: readonly string[]): string {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  return `${name}: unknown ${what}${hint}`
}
