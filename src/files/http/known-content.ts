import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FilePath } from '../../protocol/file-path.ts'
import { entityTagOf } from '../store/entity-tag.ts'
import type {
  CommittedFile,
  FileStore,
  KnownFile,
  StagedFile,
  StageOptions,
  WriteGuard,
} from '../store/file-store.ts'

/**
 * A sender that waits for `100 Continue` and states the digest of its body need not send it, when a file
 * that it may read has that content: it is answered at once instead.
 *
 * @see RFC 9110 section 10.1.1: a final answer in the place of 100 is one that does not need the body
 */

/** True when the sender holds its body back until it is asked for. */
export function waitsToSend({ headers }: FastifyRequest): boolean {
  return headers.expect?.toLowerCase() === '100-continue'
}

/** Asks for a body that is held back. */
export function askForBody({ raw }: FastifyReply): void {
  raw.writeContinue()
}

/**
 * Stores a content that is here already in the place of a body with the digests that are stated.
 *
 * @param mayRead - whether the uploader may know what a file holds
 * @returns undefined when the body is needed
 * @throws {BrokerError} what the upload of the body would throw
 */
export async function storeKnown(
  store: FileStore,
  path: FilePath,
  options: StageOptions,
  mayRead: (path: FilePath) => boolean,
  guard: WriteGuard,
): Promise<CommittedFile | undefined> {
  const sha256 = statedContent(options)
  if (sha256 === undefined) return undefined
  const current = mayRead(path) ? await store.find(path) : undefined
  if (current?.sha256 === sha256) return unchanged(current, sha256, guard)
  await using staged = await store.stageKnown(path, sha256, mayRead, options)
  return staged && (await commitOne(store, staged, guard))
}

/** Commits an upload that is no batch. */
export async function commitOne(
  store: FileStore,
  staged: StagedFile,
  guard: WriteGuard,
): Promise<CommittedFile> {
  const [stored] = await store.commit([{ staged, guard }])
  if (stored === undefined) throw new Error('an upload was committed without a result')
  return stored
}

/** The same content again: what its upload would answer. */
function unchanged(current: KnownFile, sha256: string, guard: WriteGuard): CommittedFile {
  const { path, size, modifiedMs } = current
  guard(current, { path, size, sha256 })
  const etag = entityTagOf(sha256)
  return { path, size, sha256, etag, modifiedMs, created: false, position: undefined }
}

/** The one content that a body with these digests would be; undefined where that is not certain. */
function statedContent({ digests }: StageOptions): string | undefined {
  const [first] = digests
  const isCertain = digests.every(
    ({ algorithm, hex }) => algorithm === 'sha-256' && hex === first?.hex,
  )
  return isCertain ? first?.hex : undefined
}
