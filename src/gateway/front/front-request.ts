import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { err, ok, type Result } from '../../protocol/result.ts'
import type { Settings } from '../settings/settings.ts'
import {
  formatListenAddress,
  type ListenAddress,
  type ZmqEndpoint,
} from '../settings/settings-addresses.ts'
import type { OwnFlags } from '../settings/settings-arguments.ts'
import { UsageError } from '../settings/settings-usage-error.ts'
import {
  DEFAULT_LIMITS,
  type FrontOptions,
  type FrontPassage,
  type FrontTls,
  volumesDirectory,
} from './front-options.ts'

/** The flags of `broker nginx`; `--zmq-...` are ports of the front there, not settings of the broker. */
export const FRONT_FLAGS = {
  '--dir': 'value',
  '--http': 'value',
  '--https': 'value',
  '--certificate': 'value',
  '--key': 'value',
  '--client-ca': 'value',
  '--zmq-subscribe': 'value',
  '--zmq-session': 'value',
  '--user': 'value',
} as const satisfies OwnFlags

type FrontFlag = keyof typeof FRONT_FLAGS

export interface FrontRequest {
  /** Where the configuration is to be written, absolute. */
  readonly dir: string
  readonly options: FrontOptions
}

/** What the machine says, beside flags and settings. */
export interface FrontSurroundings {
  /** What Nginx is to show; empty for nothing. */
  readonly secret?: string
  /** That of the installed Nginx, if there is one. */
  readonly nginxVersion?: string | undefined
}

const DEFAULT_HTTP = '8088'

/** By convention the front has each ZeroMQ port of the broker 1,000 higher. */
const ZMQ_PORT_OFFSET = 1000

/**
 * @param own - the flags of `broker nginx` as `parseArguments` has them
 * @param settings - those of the broker that Nginx stands before
 */
export function parseFrontRequest(
  own: ReadonlyMap<string, string | true>,
  settings: Settings,
  cwd: string,
  { secret = '', nginxVersion }: FrontSurroundings = {},
): Result<FrontRequest, UsageError> {
  const faults: string[] = []
  const flag = (name: FrontFlag) => own.get(name)?.toString()
  const path = (name: FrontFlag) => {
    const given = flag(name)
    return given === undefined ? undefined : checkText(name, resolve(cwd, given), faults)
  }
  const dir = path('--dir') ?? ''
  if (dir === '') faults.push('--dir is needed')
  const https = readTls(flag, path, faults)
  const http = flag('--http') ?? (https === undefined ? DEFAULT_HTTP : undefined)
  if (http !== undefined) checkListen('--http', http, faults)
  const options: FrontOptions = {
    upstream: checkText('--listen', upstreamOf(settings.listen), faults),
    http,
    https,
    zmq: [
      ...readPassages('--zmq-subscribe', flag, settings.zmqSubscribe, faults),
      ...readPassages('--zmq-session', flag, settings.zmqSession, faults),
    ],
    volumes: checkText('--data', volumesDirectory(settings.data, dir), faults),
    secret: checkText('the secret for Nginx', secret, faults),
    nginxVersion,
    user: readUser(flag('--user'), faults),
    publicUrl: checkText('--public-url', settings.publicUrl ?? '', faults),
    maxFileBytes: settings.maxFileBytes,
    maxEventBytes: settings.maxEventBytes,
    limits: DEFAULT_LIMITS,
  }
  return faults.length > 0 ? err(new UsageError(faults)) : ok({ dir, options })
}

/** The secret in `path`: its content without white space around it. */
export async function readProxySecret(path: string): Promise<Result<string, UsageError>> {
  const name = '--proxy-secret-file'
  try {
    const secret = (await readFile(path, 'utf8')).trim()
    if (/^[\x21-\x7e]{16,512}$/.test(secret) && !/["$\\]/.test(secret)) return ok(secret)
    const rule = '16 to 512 visible ASCII characters without ", $ and \\'
    return err(new UsageError([`${name}: the secret must be ${rule}`]))
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'error'
    return err(new UsageError([`${name}: cannot be read (${reason})`]))
  }
}

/** @throws {UsageError} */
export async function requireProxySecret(path: string): Promise<string> {
  const secret = await readProxySecret(path)
  if (!secret.ok) throw secret.error
  return secret.value
}

type ReadFlag = (name: FrontFlag) => string | undefined

function readTls(flag: ReadFlag, path: ReadFlag, faults: string[]): FrontTls | undefined {
  const [listen, certificate, key] = [flag('--https'), path('--certificate'), path('--key')]
  const clientCa = path('--client-ca')
  if (listen === undefined) {
    if ((certificate ?? key ?? clientCa) !== undefined) {
      faults.push('--certificate, --key and --client-ca are for --https')
    }
    return undefined
  }
  checkListen('--https', listen, faults)
  if (certificate === undefined || key === undefined) {
    faults.push('--https needs --certificate and --key')
    return undefined
  }
  return { listen, certificate, key, clientCa }
}

/** One port for each endpoint, in their order; without the flag the conventional ones. */
function readPassages(
  name: FrontFlag,
  flag: ReadFlag,
  endpoints: readonly ZmqEndpoint<string>[],
  faults: string[],
): readonly FrontPassage[] {
  const text = flag(name)
  if (text === 'off') return []
  const ports =
    text?.split(',').map((part) => part.trim()) ??
    endpoints.map(({ port }) => String(port + ZMQ_PORT_OFFSET))
  if (ports.length > endpoints.length) {
    faults.push(`${name}: the broker has ${endpoints.length} such endpoints`)
  }
  return endpoints.slice(0, ports.length).map((endpoint, i) => {
    const port = ports[i] ?? ''
    checkListen(name, port, faults)
    if (endpoint.port === 0) faults.push(`${name}: the port of ${endpoint.address} is not known`)
    // Tokens are clear text without CURVE, so such a port is for this machine unless an address is named.
    const isOpen = endpoint.security === 'curve' || port.includes(':')
    const host = bracketed(reachable(endpoint.host))
    return { listen: isOpen ? port : `127.0.0.1:${port}`, upstream: `${host}:${endpoint.port}` }
  })
}

function upstreamOf(listen: ListenAddress): string {
  return formatListenAddress(
    listen.kind === 'unix' ? listen : { ...listen, host: reachable(listen.host) },
  )
}

/** What is bound to every interface is reached over the loopback one. */
function reachable(host: string): string {
  if (host === '::') return '::1'
  return host === '*' || host === '0.0.0.0' ? '127.0.0.1' : host
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function readUser(text: string | undefined, faults: string[]): string | undefined {
  if (
    text !== undefined &&
    !/^[A-Za-z_][A-Za-z0-9_.-]*(?: [A-Za-z_][A-Za-z0-9_.-]*)?$/.test(text)
  ) {
    faults.push('--user: is no account, nor an account and a group')
  }
  return text
}

function checkListen(name: string, text: string, faults: string[]): void {
  const [, digits] = /^(?:(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+|\*):)?([0-9]{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (!(port >= 1 && port <= 65_535)) faults.push(`${name}: ${JSON.stringify(text)} is no port`)
}

/** Nginx has no way to write some characters, and `$` begins a variable of its own. */
function checkText(name: string, text: string, faults: string[]): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  if (/["'$\\\u0000-\u001f\u007f]/.test(text)) {
    faults.push(`${name}: holds a character that a configuration of Nginx cannot`)
  }
  return text
}
