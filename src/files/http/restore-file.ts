import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseConditions } from './conditions.ts'
import { writeGuard } from './file-rights.ts'
import { type HistoryDeps, noSuchVersion } from './get-versions.ts'
import {
  answerStored,
  confirmsShrink,
  renewed,
  requireUpload,
  type UploadDeps,
  uploaderOf,
} from './put-file.ts'

/**
 * `POST /files/{path}?restore=<id>` without a body: makes a version the present content. A POST, because
 * nothing is sent that is to be at the address (RFC 9110 section 9.3.4), and what happens depends on what
 * the broker keeps: it is the action of the resource that 9.3.3 speaks of.
 *
 * @throws {BrokerError} what an upload throws; `NOT_FOUND` when there is no such version
 */
export async function restoreFile(
  deps: UploadDeps & HistoryDeps,
  path: FilePath,
  id: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, principal } = request
  if (request.body !== undefined && headers['content-length'] !== '0') {
    throw new BrokerError('REQUEST_INVALID', 'what is restored is not sent')
  }
  await requireUpload(deps, path, principal, headers)
  const restored = await deps.history?.restore(path, id, {
    guard: writeGuard(() => renewed(deps, principal), parseConditions(headers)),
    confirmShrink: confirmsShrink(headers),
    uploader: uploaderOf(principal),
  })
  if (restored === undefined) throw noSuchVersion()
  return answerStored(restored, reply)
}
