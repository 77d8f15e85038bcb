import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../auth/principal.ts'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FilePolicy } from '../file-policy.ts'
import type { CommittedFile, FileStore } from '../store/file-store.ts'
import { hasConditions, parseConditions, requireStated } from './conditions.ts'
import { formatReprDigest, parseDigestFields } from './digest-fields.ts'
import { requireAdmissible, requireUploadRight, writeGuard } from './file-rights.ts'
import { encodePath } from './file-target.ts'
import { formatHttpDate } from './http-date.ts'
import { askForBody, commitOne, storeKnown, waitsToSend } from './known-content.ts'

export interface UploadDeps {
  readonly store: FileStore
  /** Refuses a body by its stated length, before it is read. */
  readonly maxFileBytes?: number | undefined
  /** Says which writes and deletes need a condition. */
  readonly policy?: FilePolicy | undefined
  /**
   * The same principal as of now, or undefined when its credential is gone: an upload may take longer than
   * its right lasts.
   */
  readonly renew?: ((principal: Principal) => Principal | undefined) | undefined
}

/** What is answered of each file that was stored. */
export interface UploadAnswer {
  readonly path: FilePath
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  readonly etag: string
  /** Of the event that tells it; null when the same content was there already. */
  readonly position: string | null
}

/** `PUT`, or `POST` with a raw body. */
export async function putFile(
  deps: UploadDeps,
  path: FilePath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await requireUpload(deps, path, request.principal, request.headers)
  return answerStored(await storeBody(deps, path, request, reply), reply)
}

/** 201 with the address of a file that is new, 200 of one that was there. */
export function answerStored(stored: CommittedFile, reply: FastifyReply): FastifyReply {
  reply
    .code(stored.created ? 201 : 200)
    .header('etag', stored.etag)
    .header('repr-digest', formatReprDigest(stored.sha256))
    .header('last-modified', formatHttpDate(stored.modifiedMs))
  if (stored.created) reply.header('location', `/files/${encodePath(stored.path)}`)
  if (stored.position !== undefined) reply.header('broker-position', stored.position)
  return reply.send(uploadAnswer(stored))
}

/** Resolves when nothing of the upload is left but the file. */
async function storeBody(
  deps: UploadDeps,
  path: FilePath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<CommittedFile> {
  const { headers, principal } = request
  const options = {
    digests: parseDigestFields(headers),
    confirmShrink: confirmsShrink(headers),
    uploader: uploaderOf(principal),
    size: contentLength(headers),
  }
  const guard = writeGuard(() => renewed(deps, principal), parseConditions(headers))
  if (waitsToSend(request)) {
    const mayRead = (source: FilePath) => principal.rights.may('read', source)
    const known = await storeKnown(deps.store, path, options, mayRead, guard)
    if (known !== undefined) return known
    askForBody(reply)
  }
  await using staged = await deps.store.stage(path, bodyOf(request), options)
  return await commitOne(deps.store, staged, guard)
}

/**
 * Refuses an upload that could not be accepted whatever its body is; also what a front server asks before
 * it reads one.
 *
 * @throws {BrokerError} `UNAUTHENTICATED`, `FORBIDDEN`, `PRECONDITION_REQUIRED`, `PRECONDITION_FAILED`,
 *   `TOO_LARGE`, `REQUEST_INVALID`, `DIGEST_INVALID`, `MEDIA_TYPE_UNSUPPORTED`, `TOO_MANY_REQUESTS`,
 *   `QUOTA_EXCEEDED`, `STORAGE_FULL`
 */
export async function requireUpload(
  { store, policy, maxFileBytes = Number.POSITIVE_INFINITY }: UploadDeps,
  path: FilePath,
  principal: Principal,
  headers: IncomingHttpHeaders,
): Promise<void> {
  requireUploadRight(principal, path)
  requireStorable(headers)
  parseDigestFields(headers)
  const size = contentLength(headers)
  if (size !== undefined && size > maxFileBytes) {
    throw new BrokerError('TOO_LARGE', `a file may have ${maxFileBytes} bytes`)
  }
  const conditions = parseConditions(headers)
  if (policy?.of('conditional', path)) requireStated(conditions)
  const { rights } = principal
  const mayBoth = rights.may('create', path) && rights.may('replace', path)
  // Without either the answer does not depend on what is there: the commit looks anyhow.
  if (!mayBoth || hasConditions(conditions)) {
    requireAdmissible(principal, conditions, path, await store.find(path))
  }
  await store.admit(path, { uploader: uploaderOf(principal), size })
}

/** The principal as of now. @throws {BrokerError} `CREDENTIAL_INVALID` */
export function renewed({ renew }: UploadDeps, principal: Principal): Principal {
  const now = renew === undefined ? principal : renew(principal)
  if (now === undefined) throw new BrokerError('CREDENTIAL_INVALID', 'the credential was removed')
  return now
}

export function uploadAnswer({ path, size, sha256, etag, position }: CommittedFile): UploadAnswer {
  return { path, size, sha256, etag, position: position ?? null }
}

/** Whose an upload is, `''` for anonymous. */
export function uploaderOf({ user }: Principal): string {
  return user ?? ''
}

export function confirmsShrink(headers: IncomingHttpHeaders): boolean {
  return headers['x-confirm-shrink'] === 'true'
}

/** @throws {BrokerError} for a body that would not be stored as what it says it is */
function requireStorable(headers: IncomingHttpHeaders): void {
  if (headers['content-range'] !== undefined) {
    throw new BrokerError('REQUEST_INVALID', 'a part of a file cannot be stored')
  }
}

/** Leaves the connection open when it is not read to its end, so that the refusal can be sent. */
export async function* bodyOf({ raw, body }: FastifyRequest): AsyncGenerator<Uint8Array> {
  if (body === undefined) return
  try {
    yield* raw.iterator({ destroyOnReturn: false })
  } finally {
    raw.resume()
  }
}

/** Undefined when it is not said, as of a body in chunks. */
function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['content-length']
  return text === undefined ? undefined : Number(text)
}
