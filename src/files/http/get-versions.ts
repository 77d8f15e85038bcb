import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FileHistory } from '../history/file-history.ts'
import { mayListDirectory, noSuchFile, refusal, requireRight } from './file-rights.ts'
import type { FileTarget } from './file-target.ts'
import { type GetFileDeps, sendFile } from './get-file.ts'
import { DEFAULT_LIMIT, parseLimit } from './listing.ts'
import { linkNextPage } from './next-page.ts'
import {
  type DeletedEntry,
  type DeletedListing,
  type VersionList,
  versionEntry,
} from './versions.ts'

export interface HistoryDeps extends GetFileDeps {
  /** Undefined where nothing is kept. */
  readonly history?: FileHistory | undefined
}

/** `GET /files/{path}?versions`. @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED` */
export async function getVersions(
  { store, history }: HistoryDeps,
  path: FilePath,
  { principal }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  requireRight(principal, 'list', path)
  const versions = (await history?.versions(path)) ?? []
  if (versions.length === 0 && (await store.find(path)) === undefined) throw noSuchFile()
  const list: VersionList = { path, versions: versions.map(versionEntry) }
  return reply.header('cache-control', 'private, no-cache').send(list)
}

/** `GET` and `HEAD /files/{path}?version=<id>`. @throws what `getFile` throws */
export async function getVersion(
  deps: HistoryDeps,
  path: FilePath,
  id: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  requireRight(request.principal, 'read', path)
  const file = await deps.history?.open(path, id)
  if (file === undefined) throw noSuchVersion()
  return sendFile(deps, file, request, reply)
}

/**
 * `GET /files/{directory}/?deleted`: what can be brought back below it, at any depth, for the directories
 * that led there are gone with their files.
 *
 * @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED`, `REQUEST_INVALID`
 */
export async function getDeleted(
  { history }: HistoryDeps,
  { path, query }: FileTarget,
  { principal }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const limit = parseLimit(query.get('limit')) ?? DEFAULT_LIMIT
  if (!mayListDirectory(principal, path)) {
    if (principal.user === null) throw refusal(principal, 'list')
    throw new BrokerError('NOT_FOUND', 'there is no such directory')
  }
  const prefix = path === '' ? '' : `${path}/`
  const entries: DeletedEntry[] = []
  let next: string | null = null
  for await (const version of history?.deleted(path, prefix + (query.get('cursor') ?? '')) ?? []) {
    if (!principal.rights.may('list', version.path)) continue
    if (entries.length === limit) {
      next = entries.at(-1)?.name ?? null
      break
    }
    entries.push({ name: version.path.slice(prefix.length), ...versionEntry(version) })
  }
  linkNextPage(reply, query, next)
  const listing: DeletedListing = { path, entries, next }
  return reply.header('cache-control', 'private, no-cache').send(listing)
}

export function noSuchVersion(): BrokerError {
  return new BrokerError('NOT_FOUND', 'there is no such version, or not any more')
}
