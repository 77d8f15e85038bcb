import type { MultipartFile } from '@fastify/multipart'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type FilePath, isPathSegment, parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { CommittedFile, StagedFile } from '../store/file-store.ts'
import { parseConditions } from './conditions.ts'
import { statesDigest } from './digest-fields.ts'
import { writeGuard } from './file-rights.ts'
import { askForBody, waitsToSend } from './known-content.ts'
import {
  confirmsShrink,
  renewed,
  requireUpload,
  type UploadDeps,
  uploadAnswer,
  uploaderOf,
} from './put-file.ts'

/**
 * `POST` of a form to a directory: stores every file of it under its name. All become visible together, or
 * none when one is refused.
 *
 * @throws {BrokerError} what `PUT` of one of them throws; `REQUEST_INVALID` for a form without files,
 *   `PATH_INVALID` for a file name that is none, or comes twice
 */
export async function postFiles(
  deps: UploadDeps,
  directory: FilePath | '',
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (statesDigest(request.headers)) {
    throw new BrokerError('DIGEST_INVALID', 'the digest of a form says nothing of its files')
  }
  if (waitsToSend(request)) askForBody(reply)
  const stored = await storeForm(deps, directory, request)
  const position = stored.findLast((file) => file.position !== undefined)?.position
  if (position !== undefined) reply.header('broker-position', position)
  const isCreated = stored.some(({ created }) => created)
  return reply.code(isCreated ? 201 : 200).send({ files: stored.map(uploadAnswer) })
}

/** Resolves when nothing of the form is left but its files. */
async function storeForm(
  deps: UploadDeps,
  directory: FilePath | '',
  request: FastifyRequest,
): Promise<readonly CommittedFile[]> {
  const { headers, principal } = request
  await using cleanup = new AsyncDisposableStack()
  const staged: StagedFile[] = []
  for await (const { path, part } of filesOf(request, directory, staged)) {
    const { 'content-length': _, ...others } = headers
    await requireUpload(deps, path, principal, others)
    const uploader = uploaderOf(principal)
    const options = { digests: [], confirmShrink: confirmsShrink(headers), uploader }
    staged.push(cleanup.use(await deps.store.stage(path, part.file, options)))
  }
  if (staged.length === 0) throw new BrokerError('REQUEST_INVALID', 'the form holds no file')
  const guard = writeGuard(() => renewed(deps, principal), parseConditions(headers))
  return await deps.store.commit(staged.map((file) => ({ staged: file, guard })))
}

/** The file parts of a form with their paths; reads the form as far as the caller follows. */
async function* filesOf(
  request: FastifyRequest,
  directory: FilePath | '',
  before: readonly StagedFile[],
): AsyncGenerator<{ path: FilePath; part: MultipartFile }> {
  let isRead = false
  try {
    for await (const part of request.parts({ preservePath: true })) {
      if (part.type !== 'file') continue
      yield { path: pathOf(directory, part, before), part }
    }
    isRead = true
  } catch (error) {
    throw formFault(error)
  } finally {
    // What is left of a refused form is read past, so that the refusal can be sent.
    if (!isRead) request.raw.unpipe().resume()
  }
}

/** @throws {BrokerError} `PATH_INVALID` */
function pathOf(
  directory: FilePath | '',
  { filename }: MultipartFile,
  before: readonly StagedFile[],
): FilePath {
  if (filename === undefined || !isPathSegment(filename)) {
    throw new BrokerError('PATH_INVALID', 'a file of the form has no usable name')
  }
  const path = parseFilePath(directory === '' ? filename : `${directory}/${filename}`)
  if (!path.ok) throw new BrokerError('PATH_INVALID', path.error)
  if (before.some((file) => file.path === path.value)) {
    throw new BrokerError('PATH_INVALID', 'two files of the form have the same name')
  }
  return path.value
}

/** The parser of forms throws plain errors for what a client did. */
function formFault(cause: unknown): unknown {
  if (cause instanceof BrokerError || !(cause instanceof Error)) return cause
  const code = 'code' in cause ? cause.code : undefined
  if (code === 'FST_PARTS_LIMIT' || code === 'FST_FILES_LIMIT') {
    return new BrokerError('TOO_LARGE', 'the form has too many parts', { cause })
  }
  if (code === 'FST_MP_PREMATURE_CLOSE' || /unexpected end/i.test(cause.message)) {
    return new BrokerError('BODY_INCOMPLETE', 'the form ended in the middle', { cause })
  }
  return new BrokerError('REQUEST_INVALID', 'the form could not be read', { cause })
}
