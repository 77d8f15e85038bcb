import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FileStore, OpenFile } from '../store/file-store.ts'
import { mayListDirectory, refusal } from './file-rights.ts'
import { ARCHIVE_TYPE, type TarFile, tarOf } from './tar-archive.ts'

/**
 * `GET` of a directory as a tar archive: every file below it that may be read, in the order of their paths,
 * named from the directory on. Each is the content of one moment; an edit in place while a file is being
 * read breaks the connection off, for what was sent of it cannot be taken back.
 *
 * @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED`, `UNAVAILABLE`
 */
export async function getArchive(
  store: FileStore,
  directory: FilePath | '',
  { principal, method }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const files = await readableFiles(store, directory, principal)
  const name = directory.split('/').at(-1) || 'files'
  reply
    .type(ARCHIVE_TYPE)
    .header('cache-control', 'private, no-cache')
    .header('vary', 'accept')
    .header('content-disposition', `attachment; filename*=UTF-8''${extended(name)}.tar`)
  if (method === 'HEAD') return reply.send()
  const cut = directory === '' ? 0 : directory.length + 1
  return reply.send(Readable.from(tarOf(entriesOf(files, cut)), { objectMode: false }))
}

async function readableFiles(
  store: FileStore,
  directory: FilePath | '',
  principal: Principal,
): Promise<AsyncIterable<OpenFile>> {
  const { rights } = principal
  const mayReadBelow = (path: FilePath | '') =>
    rights.overlaps('read', path === '' ? '**' : `${path}/**`)
  const isKnown = mayReadBelow(directory) || mayListDirectory(principal, directory)
  if (!isKnown && principal.user === null) throw refusal(principal, 'read')
  const options = {
    recursive: true,
    after: '',
    showsFile: (path: FilePath) => rights.may('read', path),
    showsDirectory: mayReadBelow,
  }
  const entries = isKnown ? await store.list(directory, options) : undefined
  if (entries === undefined) throw new BrokerError('NOT_FOUND', 'there is no such directory')
  return (async function* () {
    for await (const { name } of entries) {
      const file = await store.open((directory === '' ? name : `${directory}/${name}`) as FilePath)
      // One that was deleted since its directory was read is left out.
      if (file !== undefined) yield file
    }
  })()
}

/** @param cut - how much of each path is not part of its name */
async function* entriesOf(files: AsyncIterable<OpenFile>, cut: number): AsyncGenerator<TarFile> {
  for await (const file of files) {
    await using _ = file
    const { path, size, modifiedMs } = file
    yield { name: path.slice(cut), size, modifiedMs, content: file.read(0, size) }
  }
}

/** @see RFC 8187 section 3.2.1: a few characters of URLs are not those of such a value */
function extended(name: string): string {
  return encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)
}
