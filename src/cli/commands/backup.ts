import { NetworkError } from '../../client/index.ts'
import { openAdminSession } from '../admin-session.ts'
import { CLIENT_OPTIONS } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { openDestination } from '../destination.ts'

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
    const { requests, signal } = await openAdminSession(options, terminal)
    const target = `/backup?files=${files}`
    const { body } = await requests.send({ method: 'GET', target, repeat: 'always', signal })
    if (body === null) throw new NetworkError('not an answer of a broker')
    await using destination = await openDestination(file, 'backup.tar', SAFE)
    for await (const chunk of received(body, signal)) await destination.write(chunk)
    await destination.commit()
    terminal.messages.write(`written: ${destination.path}\n`)
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
