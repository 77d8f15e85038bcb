import { type BrokerClient, BrokerError } from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'

export const rm = defineCommand({
  usage: 'broker rm [-r] PATH...',
  summary: 'Deletes files; with -r directories and every file below them.',
  options: {
    recursive: { type: 'boolean', short: 'r', help: 'a directory with all that is in it' },
    'if-match': { type: 'string', value: 'ETAG', help: 'only a file with this ETag' },
    ...CLIENT_OPTIONS,
  },
  positionals: [1, Number.POSITIVE_INFINITY],
  async run({ options, positionals }, terminal) {
    const { recursive = false, 'if-match': ifMatch } = options
    if (recursive && ifMatch !== undefined) {
      throw new UsageError('--if-match is for one file, not for -r')
    }
    const directory = positionals.find((path) => path.endsWith('/'))
    if (directory !== undefined && !recursive) {
      throw new UsageError(`${directory} is a directory: -r deletes every file below it`)
    }
    const { client, signal } = await openSession(options, terminal)
    for (const path of positionals) {
      if (recursive) await removeTree(client, path, signal)
      else await client.files.delete(path, { ifMatch, signal })
      if (options.json) await terminal.output.line(JSON.stringify({ deleted: path }))
    }
    return 0
  },
})

/** What is no directory may be a file, as with the rm of a shell. */
async function removeTree(client: BrokerClient, path: string, signal: AbortSignal): Promise<void> {
  try {
    await client.files.deleteDirectory(path, { signal })
  } catch (error) {
    const isFile = error instanceof BrokerError && error.code === 'NOT_FOUND' && !path.endsWith('/')
    if (!isFile) throw error
    await client.files.delete(path, { signal })
  }
}
