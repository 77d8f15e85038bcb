import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { BrokerError, type FileDownload } from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { openDestination } from '../destination.ts'
import { ProgressBar } from '../progress.ts'
import type { Terminal } from '../terminal.ts'

export const get = defineCommand({
  usage: 'broker get PATH [FILE]',
  summary: 'Collects a file into FILE, by default under its own name here; - is stdout.',
  details: `The content is written beside FILE, checked against its digest, and only then renamed:
FILE is whole or what it was before. If FILE is a directory, the name of PATH is added.`,
  options: {
    'if-match': { type: 'string', value: 'ETAG', help: 'only content with this ETag' },
    ...CLIENT_OPTIONS,
  },
  positionals: [1, 2],
  async run({ options, positionals }, terminal) {
    const [path = '', file = join('.', basename(path))] = positionals
    const { client, signal } = await openSession(options, terminal)
    const download = await client.files.get(path, { ifMatch: options['if-match'], signal })
    if (download.sha256 === undefined) {
      terminal.messages.write(`broker: warning: ${path} has no digest yet, it is not checked\n`)
    }
    if (file === '-') {
      await copy(path, download, terminal, (chunk) => terminal.output.write(chunk))
      return 0
    }
    await using destination = await openDestination(file, basename(path))
    const size = await copy(path, download, terminal, (chunk) => destination.write(chunk))
    signal.throwIfAborted()
    await destination.commit()
    if (options.json) {
      const { sha256, etag } = download
      const answer = { path, file: destination.path, size, sha256, etag }
      await terminal.output.line(JSON.stringify(answer))
    }
    return 0
  },
})

/**
 * @returns bytes copied
 * @throws {BrokerError} `DIGEST_MISMATCH`
 */
async function copy(
  path: string,
  download: FileDownload,
  terminal: Terminal,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<number> {
  using bar = new ProgressBar(terminal.messages, path)
  const hash = createHash('sha256')
  let doneBytes = 0
  for await (const chunk of download.stream) {
    hash.update(chunk)
    await write(chunk)
    doneBytes += chunk.length
    bar.update(doneBytes, download.size)
  }
  if (download.sha256 !== undefined && hash.digest('hex') !== download.sha256) {
    throw new BrokerError('DIGEST_MISMATCH', `${path} did not arrive as it is`)
  }
  return doneBytes
}
