import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type FilePath, parseFilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseDigestFields, type StatedDigest } from '../http/digest-fields.ts'
import { confirmsShrink, requireUpload } from '../http/put-file.ts'
import type { UploadRecord } from '../uploads/upload-records.ts'
import { answerUpload, receivePart, type TusDeps } from './continue-upload.ts'
import { bringsPart, parseUploadChecksum, parseUploadLength } from './upload-fields.ts'
import { parseUploadMetadata } from './upload-metadata.ts'

/** Fields that must hold when the upload is created, and again when it becomes a file. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-unmodified-since'] as const

/**
 * `POST /uploads`: 201 with the address of the new upload, and with its first part or all of it when the
 * request brings them.
 *
 * @throws {BrokerError} what `PUT` of the file throws, before a body is read
 */
export async function createUpload(
  deps: TusDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { headers, principal } = request
  const record = await requireCreation(deps, request)
  const hasPart = bringsPart(headers)
  const checksum = parseUploadChecksum(headers)
  const upload = await deps.uploads.create(record)
  try {
    if (hasPart) await receivePart(deps, upload, request, checksum)
    await answerUpload(deps, upload, principal, reply)
  } catch (error) {
    // Nobody was told its address.
    await deps.uploads.remove(upload)
    throw error
  }
  return reply.code(201).header('location', `/uploads/${record.id}`).send()
}

/** What is to be uploaded, when it could be accepted. */
export async function requireCreation(
  deps: TusDeps,
  { headers, principal }: Pick<FastifyRequest, 'headers' | 'principal'>,
): Promise<UploadRecord> {
  if (headers['upload-concat'] !== undefined) {
    throw new BrokerError('REQUEST_INVALID', 'uploads are not concatenated')
  }
  const length = parseUploadLength(headers)
  const metadata = textOf(headers['upload-metadata'])
  const { path, digests } = readMetadata(metadata)
  const about = { ...headers, 'content-length': String(length) }
  await requireUpload(deps, path, principal, about)
  return {
    id: randomUUID(),
    user: principal.user,
    path,
    length,
    digests: [...parseDigestFields(headers), ...digests],
    conditions: conditionsOf(headers),
    confirmShrink: confirmsShrink(headers),
    metadata,
  }
}

function readMetadata(text: string): {
  readonly path: FilePath
  readonly digests: readonly StatedDigest[]
} {
  const metadata = text === '' ? new Map<string, string>() : parseUploadMetadata(text)
  const path = parseFilePath(metadata.get('path') ?? '')
  if (!path.ok) throw new BrokerError('PATH_INVALID', `upload-metadata: ${path.error}`)
  const sha256 = metadata.get('sha256')
  if (sha256 === undefined) return { path: path.value, digests: [] }
  const digests = parseDigestFields({ 'x-checksum-sha256': sha256 })
  return { path: path.value, digests }
}

function conditionsOf(headers: IncomingHttpHeaders): Readonly<Record<string, string>> {
  return Object.fromEntries(
    CONDITIONS.flatMap((name) => {
      const value = headers[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function textOf(value: string | string[] | undefined): string {
  return value === undefined ? '' : String(value)
}
