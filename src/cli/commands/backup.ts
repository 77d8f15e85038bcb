import { access } from 'node:fs/promises'
import { adminTokenPath } from '../../auth/credentials/admin-token.ts'
import { NetworkError } from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { openDestination } from '../destination.ts'
import type { Terminal } from '../terminal.ts'
import { localSettings } from '../users-file-option.ts'

const { url, retry, timeout } = CLIENT_OPTIONS

/** It holds keys. */
const SAFE = { mode: 0o600, isDurable: true }

export const backup = defineCommand({
  usage: 'broker backup FILE [--files]',
  summary: 'Writes the state of a running broker into a tar archive.',
  details: `The state is the database (events, index of files), the users file and the keys of this installation: keep the archive
as safe as them. Needs the grant administer; on the machine of the broker its administrator token is found.`,
  options: {
    files: { type: 'boolean', help: 'with the files of the default volume' },
    url,
    retry,
    timeout,
  },
  positionals: [1, 1],
  async run({ options: { files = false, ...options }, positionals }, terminal) {
    const [file = ''] = positionals
    const { stdin, output, messages } = terminal
    const env = await withAdminToken(terminal.env)
    const world = { env, signal: terminal.signal, stdin, output, messages }
    const { requests, signal } = await openSession(options, world)
    const target = `/backup?files=${files}`
    const { body } = await requests.send({ method: 'GET', target, repeat: 'always', signal })
    if (body === null) throw new NetworkError('not an answer of a broker')
    await using destination = await openDestination(file, 'backup.tar', SAFE)
    for await (const chunk of received(body, signal)) await destination.write(chunk)
    await destination.commit()
    messages.write(`written: ${destination.path}\n`)
    return 0
  },
})

async function* received(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } catch (cause) {
    signal.throwIfAborted()
    throw new NetworkError('the answer broke off', { cause })
  }
}

/** On the machine of the broker, by an account that may read it. */
async function withAdminToken(env: Terminal['env']): Promise<Terminal['env']> {
  if (env['BROKER_TOKEN'] || env['BROKER_TOKEN_FILE']) return env
  const path = adminTokenPath((await localSettings({}, env)).data)
  return access(path).then(
    () => ({ ...env, BROKER_TOKEN_FILE: path }),
    () => env,
  )
}
