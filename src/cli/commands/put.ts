import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { Readable } from 'node:stream'
import {
  BrokerError,
  type PutOptions,
  type StoredFile,
  type UploadContent,
} from '../../client/index.ts'
import { CLIENT_OPTIONS, openSession } from '../client-options.ts'
import { defineCommand } from '../command.ts'
import { describeSystemError } from '../describe-system-error.ts'
import { ProgressBar } from '../progress.ts'
import { UsageError } from '../usage-error.ts'

export const put = defineCommand({
  usage: 'broker put FILE PATH',
  summary: 'Stores a file, or what comes on stdin for -; prints its SHA-256 and path.',
  details: `When it ends with 0 the content is stored durably and is the content of FILE.
A PATH that ends with / is a directory: the name of FILE is added.`,
  options: {
    'no-replace': { type: 'boolean', help: 'only when there is nothing at PATH' },
    'if-match': { type: 'string', value: 'ETAG', help: 'only replace content with this ETag' },
    'content-type': { type: 'string', value: 'TYPE', help: 'default application/octet-stream' },
    ...CLIENT_OPTIONS,
  },
  positionals: [2, 2],
  async run({ options, positionals }, terminal) {
    const [file = '', target = ''] = positionals
    const path = targetPath(file, target)
    const { client, signal } = await openSession(options, terminal)
    using bar = new ProgressBar(terminal.messages, path)
    const settings: PutOptions = {
      contentType: options['content-type'],
      ifMatch: options['if-match'],
      ifNoneMatch: options['no-replace'] ? '*' : undefined,
      signal,
    }
    const send: Send = (content, measured) => {
      const onProgress = (sent: number) => bar.update(sent, measured?.size)
      return client.files.put(path, content, { ...settings, ...measured, onProgress })
    }
    const stored =
      file === '-' ? await putStream(terminal.stdin, send) : await putFile(file, signal, send)
    bar[Symbol.dispose]()
    const line = options.json ? JSON.stringify(stored) : `${stored.sha256}  ${stored.path}`
    await terminal.output.line(line)
    return 0
  },
})

/** @throws {UsageError} when a name is missing */
export function targetPath(file: string, target: string): string {
  if (!target.endsWith('/')) return target
  if (file === '-') throw new UsageError('content from stdin needs the whole PATH')
  return target + basename(file)
}

interface Measured {
  readonly size: number
  readonly sha256: string
}

type Send = (content: UploadContent, measured?: Measured) => Promise<StoredFile>

async function putFile(file: string, signal: AbortSignal, send: Send): Promise<StoredFile> {
  const stats = await stat(file).catch((error: unknown) => {
    throw describeSystemError(`cannot read ${file}`, error)
  })
  if (stats.isDirectory()) {
    throw new UsageError(
      `${file} is a directory; store its files one by one, or packed: ` +
        `tar -cz ${file} | broker put - PATH.tgz`,
    )
  }
  // A pipe can be read but once.
  if (!stats.isFile()) return putStream(createReadStream(file, { signal }), send)
  const measured = await measure(file, signal)
  return send(() => webStream(createReadStream(file)), measured)
}

/** Reads the file once for its digest, so that the broker can refuse what does not arrive as it is. */
async function measure(file: string, signal: AbortSignal): Promise<Measured> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const chunk of createReadStream(file, { signal, highWaterMark: 1024 * 1024 })) {
      hash.update(chunk)
      size += chunk.length
    }
  } catch (error) {
    throw describeSystemError(`cannot read ${file}`, error)
  }
  return { size, sha256: hash.digest('hex') }
}

/** What comes once is compared with what the broker says to have stored. */
async function putStream(source: Readable, send: Send): Promise<StoredFile> {
  const hash = createHash('sha256')
  const hashing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      hash.update(chunk)
      controller.enqueue(chunk)
    },
  })
  const stored = await send(webStream(source).pipeThrough(hashing))
  if (hash.digest('hex') === stored.sha256) return stored
  throw new BrokerError('DIGEST_MISMATCH', `what was stored at ${stored.path} is not what was sent`)
}

function webStream(stream: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(stream)
}
