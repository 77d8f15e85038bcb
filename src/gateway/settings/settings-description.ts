import type { Settings } from './settings.ts'
import { formatEndpoints, formatListenAddress } from './settings-addresses.ts'
import { SAME_ORIGIN } from './settings-parsers.ts'
import { SETTING_ROWS, type SettingKey, type SettingRow } from './settings-schema.ts'
import { formatDuration, formatSize } from './settings-units.ts'

/** One setting as it is in force. */
export interface SettingDescription extends SettingRow {
  /** What a flag would say, secrets redacted; undefined when it has no value. */
  readonly value: string | undefined
}

/** Every setting in force, in the order of the schema. */
export function describeSettings(settings: Settings): readonly SettingDescription[] {
  const texts = textsOf(settings)
  return SETTING_ROWS.map((row) => ({ ...row, value: redact(texts[row.key]) }))
}

/** The settings as an object that a settings file may hold. */
export function settingsAsJson(settings: Settings): Readonly<Record<string, string | number>> {
  const numbers: ReadonlySet<SettingKey> = new Set([
    'historyEvents',
    'connectionsPerUser',
    'connectionsPerAddress',
    'workers',
  ])
  return Object.fromEntries(
    describeSettings(settings).flatMap(({ key, value }) =>
      value === undefined ? [] : [[key, numbers.has(key) ? Number(value) : value]],
    ),
  )
}

/** The settings as lines for a terminal. */
export function settingsAsText(settings: Settings): string {
  const rows = describeSettings(settings)
  const width = Math.max(...rows.map(({ flag }) => flag.length))
  return rows
    .map(({ flag, value, unset }) => `${flag.padEnd(width)}  ${value ?? `(${unset ?? 'none'})`}\n`)
    .join('')
}

function textsOf(settings: Settings): Readonly<Record<SettingKey, string | undefined>> {
  const { events, files, origins } = settings
  return {
    listen: formatListenAddress(settings.listen),
    data: settings.data,
    users: settings.users,
    zmqSubscribe: formatEndpoints(settings.zmqSubscribe),
    zmqSession: formatEndpoints(settings.zmqSession),
    events: events.kind === 'memory' ? 'memory:' : `sqlite:${events.path}`,
    files: `file:${files.path}`,
    historyEvents: String(settings.historyEvents),
    historyBytes: formatSize(settings.historyBytes),
    historyAge: formatDuration(settings.historyAgeMs),
    maxEvent: formatSize(settings.maxEventBytes),
    publishRate: unlimitedOr(String, settings.publishRate),
    connectionsPerUser: String(settings.connectionsPerUser),
    connectionsPerAddress: String(settings.connectionsPerAddress),
    maxFile: unlimitedOr(formatSize, settings.maxFileBytes),
    filePolicy: settings.filePolicy,
    settle: formatDuration(settings.settleMs),
    proxy: settings.proxy,
    proxySecretFile: settings.proxySecretFile,
    origins: origins.length === 0 ? SAME_ORIGIN : origins.join(','),
    publicUrl: settings.publicUrl,
    workers: String(settings.workers),
    logLevel: settings.logLevel,
  }
}

function unlimitedOr(format: (value: number) => string, value: number): string {
  return value === Number.POSITIVE_INFINITY ? 'unlimited' : format(value)
}

/** A URL may carry a password before its host; nothing else in a setting is secret. */
function redact(text: string | undefined): string | undefined {
  return text?.replaceAll(/:\/\/[^/@?#,\s]+@/g, '://***@')
}
