import { Value } from 'typebox/value'
import { err, ok, type Result } from '../../protocol/result.ts'
import { unknownName } from './settings-arguments.ts'
import { SETTING_ROWS, type SettingKey, SettingsFile } from './settings-schema.ts'

/** The text of one setting, with the words for where it was given. */
export interface SettingText {
  readonly text: string
  readonly from: string
}

export type SettingTexts = ReadonlyMap<SettingKey, SettingText>

export type Environment = Readonly<Record<string, string | undefined>>

export const CONFIG_VARIABLE = 'BROKER_CONFIG'

/** Variables that begin like those of the settings and are for the programs that talk to the broker. */
const CLIENT_VARIABLES: ReadonlySet<string> = new Set([
  'BROKER_CA_FILE',
  'BROKER_CERTIFICATE_FILE',
  'BROKER_CURVE_KEY_FILE',
  'BROKER_HOME',
  'BROKER_KEY_FILE',
  'BROKER_PASSWORD',
  'BROKER_TIMEOUT',
  'BROKER_TOKEN',
  'BROKER_TOKEN_FILE',
  'BROKER_URL',
  'BROKER_USER',
])

/** Kubernetes and Docker links set these for a service named `broker`; they are nobody's mistake. */
const SERVICE_VARIABLE = /^BROKER_(?:(?:SERVICE|PORT)(?:_[0-9A-Z_]+)?|ENV_.*|NAME)$/

const KEYS_BY_VARIABLE: ReadonlyMap<string, SettingKey> = new Map(
  SETTING_ROWS.map(({ variable, key }) => [variable, key]),
)

export function textsOfFlags(flags: ReadonlyMap<SettingKey, string>): SettingTexts {
  const rows = SETTING_ROWS.filter(({ key }) => flags.has(key))
  return new Map(rows.map(({ key, flag }) => [key, { text: flags.get(key) ?? '', from: flag }]))
}

/** An empty variable is as good as none: compose files and units pass them on so. */
export function textsOfEnvironment(env: Environment): Result<SettingTexts, readonly string[]> {
  const known = [CONFIG_VARIABLE, ...KEYS_BY_VARIABLE.keys()]
  const texts = new Map<SettingKey, SettingText>()
  const faults: string[] = []
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('BROKER_') || text === undefined || text === '') continue
    const key = KEYS_BY_VARIABLE.get(name)
    if (key !== undefined) texts.set(key, { text, from: name })
    else if (!isOfOthers(name)) faults.push(unknownName(name, 'environment variable', known))
  }
  return faults.length > 0 ? err(faults) : ok(texts)
}

function isOfOthers(name: string): boolean {
  return name === CONFIG_VARIABLE || CLIENT_VARIABLES.has(name) || SERVICE_VARIABLE.test(name)
}

/** @param name - how messages call the file; `text` its content, a JSON object of the schema's keys */
export function textsOfFile(name: string, text: string): Result<SettingTexts, readonly string[]> {
  const content = parseObject(text)
  // The words of the parser would quote the content.
  if (content === undefined) return err([`${name}: is not a JSON object`])
  const known: readonly string[] = SETTING_ROWS.map(({ key }) => key)
  const unknown = Object.keys(content).filter((key) => !known.includes(key))
  const faults = [
    ...unknown.map((key) => `${name}: ${unknownName(key, 'setting', known)}`),
    ...typeFaults(name, content),
  ]
  return faults.length > 0 ? err(faults) : ok(textsOf(name, content))
}

function typeFaults(name: string, content: Readonly<Record<string, unknown>>): readonly string[] {
  return SETTING_ROWS.filter(({ key }) => Object.hasOwn(content, key)).flatMap(({ key }) => {
    const [first] = Value.Errors(SettingsFile.properties[key], content[key])
    return first === undefined ? [] : [`${name}: ${key}: ${first.message}`]
  })
}

function textsOf(name: string, content: Readonly<Record<string, unknown>>): SettingTexts {
  return new Map(
    SETTING_ROWS.filter(({ key }) => Object.hasOwn(content, key)).map(({ key }) => [
      key,
      { text: String(content[key]), from: `${name}: ${key}` },
    ]),
  )
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const content: unknown = JSON.parse(text)
    return typeof content === 'object' && content !== null && !Array.isArray(content)
      ? { ...content }
      : undefined
  } catch {
    return undefined
  }
}
