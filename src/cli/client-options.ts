import { readFile, stat } from 'node:fs/promises'
import { connectionOf } from '../client/connection.ts'
import { HttpRequests } from '../client/http/http-requests.ts'
import { BrokerClient, BrokerError } from '../client/index.ts'
import type { OptionTable, OptionValues } from './command.ts'
import type { Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'

/** The options of every command that talks to a broker. A token is none: others see a command line. */
export const CLIENT_OPTIONS = {
  url: { type: 'string', value: 'URL', help: 'where the broker is, instead of BROKER_URL' },
  retry: { type: 'string', value: 'N', help: 'repeat what fails for now so often; default 4' },
  timeout: { type: 'string', value: 'SECONDS', help: 'give up after that time; default never' },
  json: { type: 'boolean', help: 'print JSON, one object a line' },
} as const satisfies OptionTable

export type ClientOptions = OptionValues<typeof CLIENT_OPTIONS>

export interface Session {
  readonly client: BrokerClient
  /** For what the client has no method for. */
  readonly requests: HttpRequests
  /** Ends what the command does: an interruption, or the end of `--timeout`. */
  readonly signal: AbortSignal
}

/** @throws {UsageError} for options and an environment that make no sense */
export async function openSession(options: ClientOptions, terminal: Terminal): Promise<Session> {
  const { env } = terminal
  const signal = withTimeout(terminal.signal, options.timeout)
  const token = await tokenOf(env, terminal)
  try {
    const given = {
      url: brokerUrl(options, env),
      token,
      signal,
      retries: wholeNumber('--retry', options.retry, 0),
    }
    const requests = new HttpRequests(connectionOf(given, signal))
    return { client: new BrokerClient(given), requests, signal }
  } catch (error) {
    if (error instanceof BrokerError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

export function brokerUrl({ url }: ClientOptions, env: NodeJS.ProcessEnv): string {
  return url ?? (env['BROKER_URL'] || 'http://127.0.0.1:8080')
}

/** @throws {UsageError} unless it is a whole number of at least `least` */
export function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d{1,9}$/.test(text) && number >= least) return number
  throw new UsageError(`${name} needs a whole number of at least ${least}`)
}

function withTimeout(signal: AbortSignal, text: string | undefined): AbortSignal {
  const seconds = Number(text)
  if (text === undefined) return signal
  if (!/^\d{1,7}(\.\d{1,3})?$/.test(text) || seconds === 0) {
    throw new UsageError('--timeout needs a number of seconds')
  }
  return AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)])
}

async function tokenOf(env: NodeJS.ProcessEnv, terminal: Terminal): Promise<string | undefined> {
  const file = env['BROKER_TOKEN_FILE']
  if (env['BROKER_TOKEN']) return env['BROKER_TOKEN'].trim()
  if (!file) return undefined
  try {
    const { mode } = await stat(file)
    if (process.platform !== 'win32' && (mode & 0o004) !== 0) {
      terminal.messages.write(`broker: warning: everybody may read ${file}\n`)
    }
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    throw new UsageError(`cannot read the file that BROKER_TOKEN_FILE names: ${file}`, { cause })
  }
}
