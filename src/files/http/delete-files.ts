import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseSwitch } from '../../protocol/query-switch.ts'
import { type Conditions, parseConditions, requireStated } from './conditions.ts'
import { deleteGuard, mayListDirectory, noSuchFile, refusal, requireRight } from './file-rights.ts'
import type { FileTarget } from './file-target.ts'
import { renewed, type UploadDeps } from './put-file.ts'

/** Deletes of one directory that are under way at once: their commits share a transaction. */
const AT_ONCE = 32

/**
 * `DELETE` of a file.
 *
 * @throws {BrokerError} `NOT_FOUND`, `PRECONDITION_REQUIRED`, `PRECONDITION_FAILED`, `READ_ONLY`, ...
 */
export async function deleteOne(
  deps: UploadDeps,
  path: FilePath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { principal, headers } = request
  requireRight(principal, 'delete', path)
  const conditions = parseConditions(headers)
  if (deps.policy?.of('conditional', path)) requireStated(conditions)
  const guard = deleteGuard(() => renewed(deps, principal), conditions)
  const deleted = await deps.store.delete(path, guard)
  if (deleted === undefined) throw noSuchFile()
  if (deleted.position !== undefined) reply.header('broker-position', deleted.position)
  return reply.code(204).send()
}

/**
 * `DELETE` of a directory: of every file under it, and of the directories that are empty then. Refused
 * whole when one of the files may not be deleted, or not without a condition of its own.
 */
export async function deleteDirectory(
  deps: UploadDeps,
  { path, query }: FileTarget,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { principal } = request
  if (!parseSwitch(query, 'recursive')) {
    throw new BrokerError('REQUEST_INVALID', 'a directory is deleted with ?recursive only')
  }
  const paths = await filesBelow(deps, path, principal)
  const guard = deleteGuard(() => renewed(deps, principal), NO_CONDITIONS)
  let position: string | undefined
  const rest = paths.values()
  const worker = async () => {
    for (const file of rest) position = (await deps.store.delete(file, guard))?.position ?? position
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  if (path !== '') await deps.store.prune(path)
  if (position !== undefined) reply.header('broker-position', position)
  return reply.code(204).send()
}

const NO_CONDITIONS: Conditions = {}

/** @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED`, `FORBIDDEN`, `PRECONDITION_REQUIRED` */
async function filesBelow(
  { store, policy }: UploadDeps,
  directory: FilePath | '',
  principal: Principal,
): Promise<readonly FilePath[]> {
  const { rights } = principal
  const below = (path: FilePath | '') => (path === '' ? '**' : `${path}/**`)
  const mayDelete = (path: FilePath | '') => rights.overlaps('delete', below(path))
  const isKnown = mayDelete(directory) || mayListDirectory(principal, directory)
  if (!isKnown && principal.user === null) throw refusal(principal, 'delete')
  const entries = isKnown
    ? await store.list(directory, {
        recursive: true,
        after: '',
        showsFile: (path) => rights.may('list', path) || rights.may('delete', path),
        showsDirectory: (path) => mayDelete(path) || mayListDirectory(principal, path),
      })
    : undefined
  if (entries === undefined) throw new BrokerError('NOT_FOUND', 'there is no such directory')
  if (!mayDelete(directory)) throw refusal(principal, 'delete')
  const paths: FilePath[] = []
  for await (const { name } of entries) {
    const path = (directory === '' ? name : `${directory}/${name}`) as FilePath
    if (!rights.may('delete', path)) throw refusal(principal, 'delete')
    if (policy?.of('conditional', path)) requireStated(NO_CONDITIONS)
    paths.push(path)
  }
  return paths
}
