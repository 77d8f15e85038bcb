import { access, constants } from 'node:fs/promises'
import { adminTokenPath } from '../auth/credentials/admin-token.ts'
import { brokerUrl, type ClientOptions, openSession, type Session } from './client-options.ts'
import type { Terminal } from './terminal.ts'
import { localSettings } from './users-file-option.ts'

/**
 * A session for what administrators do. On the machine of the broker the account that may read the
 * administrator token need not name it.
 *
 * @throws {UsageError} for options and an environment that make no sense
 */
export async function openAdminSession(
  options: ClientOptions,
  terminal: Terminal,
): Promise<Session> {
  const { signal, stdin, output, messages } = terminal
  const env = await withAdminToken(brokerUrl(options, terminal.env), terminal.env)
  return openSession(options, { env, signal, stdin, output, messages })
}

async function withAdminToken(url: string, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  // Nobody else's machine is shown what nobody told it.
  if (env['BROKER_TOKEN'] || env['BROKER_TOKEN_FILE'] || !isOnThisMachine(url)) return env
  const path = adminTokenPath((await localSettings({}, env)).data)
  return access(path, constants.R_OK).then(
    () => ({ ...env, BROKER_TOKEN_FILE: path }),
    () => env,
  )
}

function isOnThisMachine(url: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(URL.parse(url)?.hostname ?? '')
}
