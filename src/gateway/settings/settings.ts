import { resolve } from 'node:path'
import { err, ok, type Result } from '../../protocol/result.ts'
import {
  type ListenAddress,
  parseListenAddress,
  parseSessionEndpoints,
  parseSubscribeEndpoints,
  type SessionEndpoint,
  type SubscribeEndpoint,
} from './settings-addresses.ts'
import {
  type EventsEngine,
  type FilesEngine,
  parseEventsEngine,
  parseFilesEngine,
} from './settings-engines.ts'
import {
  LOG_LEVELS,
  type LogLevel,
  oneOf,
  orUnlimited,
  type Parse,
  parseCount,
  parseOrigins,
  parsePublicUrl,
  within,
} from './settings-parsers.ts'
import { SETTING_ROWS, type SettingKey } from './settings-schema.ts'
import {
  type Environment,
  type SettingTexts,
  textsOfEnvironment,
  textsOfFile,
  textsOfFlags,
} from './settings-sources.ts'
import { parseDuration, parseSize } from './settings-units.ts'
import { UsageError } from './settings-usage-error.ts'

/** What the broker runs with. Paths are absolute, sizes in bytes, times in milliseconds. */
export interface Settings {
  readonly listen: ListenAddress
  readonly data: string
  readonly users: string
  /** Empty when off. */
  readonly zmqSubscribe: readonly SubscribeEndpoint[]
  /** Empty when off. */
  readonly zmqSession: readonly SessionEndpoint[]
  readonly events: EventsEngine
  readonly files: FilesEngine
  readonly historyEvents: number
  readonly historyBytes: number
  readonly historyAgeMs: number
  readonly maxEventBytes: number
  /** Events a second of one user; `Infinity` when unlimited. */
  readonly publishRate: number
  readonly connectionsPerUser: number
  readonly connectionsPerAddress: number
  /** `Infinity` when unlimited. */
  readonly maxFileBytes: number
  readonly filePolicy: string | undefined
  readonly settleMs: number
  readonly proxy: 'off' | 'nginx'
  readonly proxySecretFile: string | undefined
  /** Beside the broker's own, as browsers write them: `https://dashboard.example`. */
  readonly origins: readonly string[]
  /** Without a slash at its end. Undefined: made from each request. */
  readonly publicUrl: string | undefined
  readonly workers: number
  readonly logLevel: LogLevel
}

export interface SettingsSource {
  readonly flags?: ReadonlyMap<SettingKey, string>
  readonly env?: Environment
  /** The settings file: what messages call it, and its content. */
  readonly file?: { readonly name: string; readonly text: string }
  /** What relative paths are relative to. */
  readonly cwd: string
}

/** Largest event: many of them may come in one body of 16 MiB, and each is held in memory whole. */
const MAX_EVENT_BYTES = 16 * 2 ** 20
const MAX_SETTLE_MS = 60_000
const MAX_WORKERS = 256

/** A flag wins over a variable, that over the file, and that over the default. Pure: reads no file. */
export function parseSettings(source: SettingsSource): Result<Settings, UsageError> {
  const fromEnvironment = textsOfEnvironment(source.env ?? {})
  const fromFile =
    source.file === undefined
      ? ok<SettingTexts>(new Map())
      : textsOfFile(source.file.name, source.file.text)
  if (!fromEnvironment.ok || !fromFile.ok) {
    const faults = [fromFile, fromEnvironment].flatMap((each) => (each.ok ? [] : each.error))
    return err(new UsageError(faults))
  }
  const fromFlags = textsOfFlags(source.flags ?? new Map())
  return readTexts(new Map([...fromFile.value, ...fromEnvironment.value, ...fromFlags]), source.cwd)
}

function readTexts(texts: SettingTexts, cwd: string): Result<Settings, UsageError> {
  const faults: string[] = []
  const read = reader(texts, faults)
  const data = resolve(cwd, textOf(texts, 'data') ?? '')
  const toPath = (path: string) => resolve(cwd, path)
  const inData = (path: string) => toPath(path.replaceAll('<data>', data))
  const parsePath = (text: string) => (text === '' ? err('needs a path') : ok(toPath(text)))
  const settings = {
    listen: read('listen', (text) => parseListenAddress(text, toPath)),
    data: read('data', parsePath),
    users: read('users', parsePath),
    zmqSubscribe: read('zmqSubscribe', parseSubscribeEndpoints),
    zmqSession: read('zmqSession', parseSessionEndpoints),
    events: read('events', (text) => parseEventsEngine(text, inData)),
    files: read('files', (text) => parseFilesEngine(text, inData)),
    historyEvents: read('historyEvents', parseCount(1)),
    historyBytes: read('historyBytes', within(parseSize, 1)),
    historyAgeMs: read('historyAge', within(parseDuration, 1)),
    maxEventBytes: read('maxEvent', within(parseSize, 1, MAX_EVENT_BYTES, 'at most 16MiB')),
    publishRate: read('publishRate', orUnlimited(parseCount(1))),
    connectionsPerUser: read('connectionsPerUser', parseCount(1)),
    connectionsPerAddress: read('connectionsPerAddress', parseCount(1)),
    maxFileBytes: read('maxFile', orUnlimited(parseSize)),
    filePolicy: read('filePolicy', parsePath),
    settleMs: read('settle', within(parseDuration, 0, MAX_SETTLE_MS, 'at most 60s')),
    proxy: read('proxy', oneOf(['off', 'nginx'])),
    proxySecretFile: read('proxySecretFile', parsePath),
    origins: read('origins', parseOrigins),
    publicUrl: read('publicUrl', parsePublicUrl),
    workers: read('workers', parseCount(0, MAX_WORKERS, `0 to ${MAX_WORKERS}`)),
    logLevel: read('logLevel', oneOf(LOG_LEVELS)),
  }
  return faults.length > 0 ? err(new UsageError(faults)) : checkTogether(settings as Settings)
}

/** What reads one setting: a fault is noted with the place where the value was given. */
function reader(texts: SettingTexts, faults: string[]) {
  return <Value>(key: SettingKey, parse: Parse<Value>): Value | undefined => {
    const text = textOf(texts, key)
    if (text === undefined) return undefined
    const parsed = parse(text)
    if (parsed.ok) return parsed.value
    faults.push(`${texts.get(key)?.from ?? key}: ${parsed.error}`)
    return undefined
  }
}

function textOf(texts: SettingTexts, key: SettingKey): string | undefined {
  return texts.get(key)?.text ?? SETTING_ROWS.find((row) => row.key === key)?.fallback
}

/** Rules that hold between settings. */
function checkTogether(settings: Settings): Result<Settings, UsageError> {
  const { proxy, proxySecretFile, listen } = settings
  if (proxy === 'nginx' && proxySecretFile === undefined && listen.kind === 'tcp') {
    // Anybody who reaches the port could claim to be the proxy.
    const ways = 'give --proxy-secret-file, or --listen unix:/path'
    return err(new UsageError([`--proxy nginx trusts nobody over TCP without a secret; ${ways}`]))
  }
  return ok(settings)
}
