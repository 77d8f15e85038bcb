import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseConditions } from '../http/conditions.ts'
import { requireUploadRight, writeGuard } from '../http/file-rights.ts'
import { encodePath } from '../http/file-target.ts'
import { formatHttpDate } from '../http/http-date.ts'
import { bodyOf, renewed, type UploadDeps } from '../http/put-file.ts'
import type { PartChecksum } from '../uploads/partial-file.ts'
import type { ResumableUpload } from '../uploads/resumable-upload.ts'
import type { ResumableUploads } from '../uploads/resumable-uploads.ts'
import type { UploadRecord } from '../uploads/upload-records.ts'
import { parseUploadChecksum, parseUploadOffset, requirePart } from './upload-fields.ts'

export interface TusDeps extends UploadDeps {
  readonly uploads: ResumableUploads
  /** Told of an upload that is removed by the request at hand before it became a file. */
  readonly terminated?: (upload: UploadRecord) => void
}

/** `HEAD`: how far the upload is. One that is whole, after a crash say, is finished first. */
export async function headUpload(
  deps: TusDeps,
  id: string,
  { principal }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await deps.uploads.hold(id, principal.user, async (upload) => {
    const { length, metadata } = upload.record
    await answerUpload(deps, upload, principal, reply)
    reply.header('upload-length', length)
    if (metadata !== '') reply.header('upload-metadata', metadata)
  })
  return reply.code(200).send()
}

/** `PATCH`: the next part; the last one is answered when the file is there, as `PUT` is. */
export async function patchUpload(
  deps: TusDeps,
  id: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, principal } = request
  requirePart(headers)
  const offset = parseUploadOffset(headers)
  const checksum = parseUploadChecksum(headers)
  await deps.uploads.hold(id, principal.user, async (upload) => {
    requireNext(upload, offset, principal)
    await receivePart(deps, upload, request, checksum)
    await answerUpload(deps, upload, principal, reply)
  })
  return reply.code(204).send()
}

/** `DELETE` of an upload; the file that it became stays. */
export async function deleteUpload(
  { uploads, terminated }: TusDeps,
  id: string,
  { principal }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await uploads.hold(id, principal.user, async (upload) => {
    await uploads.remove(upload)
    if (upload.record.finished === undefined) terminated?.(upload.record)
  })
  return reply.code(204).send()
}

/** @throws {BrokerError} `UPLOAD_OFFSET_CONFLICT`, `FORBIDDEN` when the right is gone */
export function requireNext(upload: ResumableUpload, offset: number, principal: Principal): void {
  if (offset !== upload.offset) {
    throw new BrokerError('UPLOAD_OFFSET_CONFLICT', `the upload is at ${upload.offset}`, {
      fields: { offset: upload.offset },
    })
  }
  requireUploadRight(principal, upload.record.path)
}

/** The body of a request is the next part; of a whole upload it is empty. */
export async function receivePart(
  { uploads }: TusDeps,
  upload: ResumableUpload,
  request: FastifyRequest,
  checksum: PartChecksum | undefined,
): Promise<void> {
  const rest = upload.record.length - upload.offset
  if (Number(request.headers['content-length'] ?? 0) > rest) {
    throw new BrokerError('TOO_LARGE', `${rest} bytes of the upload are missing`)
  }
  if (rest === 0) return
  const cut = () => request.raw.destroy()
  await uploads.append(upload, { content: bodyOf(request), checksum, cut })
}

/** Where the upload is; of a whole one where the file is, which is there then. */
export async function answerUpload(
  deps: TusDeps,
  upload: ResumableUpload,
  principal: Principal,
  reply: FastifyReply,
): Promise<void> {
  const { path, conditions } = upload.record
  if (upload.isWhole) {
    const guard = writeGuard(() => renewed(deps, principal), parseConditions(conditions))
    const { etag, position } = await deps.uploads.finish(upload, guard)
    reply.header('etag', etag).header('content-location', `/files/${encodePath(path)}`)
    if (position !== null) reply.header('broker-position', position)
  } else {
    reply.header('upload-expires', formatHttpDate(deps.uploads.expiresMs(upload)))
  }
  reply.header('upload-offset', upload.offset)
}
