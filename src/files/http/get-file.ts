import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import type { FileStore, OpenFile, ServableFile } from '../store/file-store.ts'
import type { StrongDigests } from '../store/strong-digests.ts'
import {
  type ByteRange,
  formatContentRange,
  lengthOf,
  parseRange,
  type RangeOutcome,
  rangeApplies,
} from './byte-range.ts'
import { byteRangesBody } from './byte-ranges-body.ts'
import { conditionFailed, evaluateConditions, parseConditions } from './conditions.ts'
import { formatReprDigest } from './digest-fields.ts'
import { noSuchFile, requireRight } from './file-rights.ts'
import { encodePath } from './file-target.ts'
import { isVisibleDirectory } from './get-listing.ts'
import { formatHttpDate } from './http-date.ts'
import { mediaTypeOf } from './media-type.ts'
import { parseWantedDigests } from './wanted-digests.ts'

/** Up to this size a file is read whole and sent at once: a stream costs more than its bytes. */
const SMALL_BYTES = 64 * 1024

/** Caches keep a file but ask each time: what one may read, another may not. */
const CACHE_CONTROL = 'private, no-cache'

export interface GetFileDeps {
  readonly store: FileStore
  /**
   * The prefix of the internal location from which a front server sends files, e.g. `/-/serve/`; undefined
   * for a request that did not come by one.
   */
  readonly acceleratedBy?: ((request: FastifyRequest) => string | undefined) | undefined
  /** Without it sha-256 is answered to whoever would rather have sha-512. */
  readonly strongDigests?: Pick<StrongDigests, 'of'>
}

/**
 * `GET` and `HEAD` of a file.
 *
 * @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED`, `FORBIDDEN`, `PRECONDITION_FAILED`,
 *   `RANGE_NOT_SATISFIABLE`, `REQUEST_INVALID`, `UNAVAILABLE`
 */
export async function getFile(
  deps: GetFileDeps,
  path: FilePath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  requireRight(request.principal, 'read', path)
  // Most downloads through a front server need nothing but the name of the content.
  const [preferred] = parseWantedDigests(request.headers['want-repr-digest'])
  const byName = preferred !== 'sha-512' && deps.acceleratedBy?.(request) !== undefined
  const glanced = byName ? await deps.store.glance?.(path) : undefined
  if (glanced !== undefined) {
    const digest = preferred && storedDigest(glanced)
    if ((await answerByName(deps, glanced, digest, request, reply)) === 'answered') return reply
  }
  const file = await deps.store.open(path)
  if (file === undefined) return answerMissing(deps.store, path, request, reply)
  return sendFile(deps, file, request, reply)
}

/** Answers with an open file as the request wants it, and closes it. */
export async function sendFile(
  deps: GetFileDeps,
  file: OpenFile,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await using cleanup = new AsyncDisposableStack()
  cleanup.use(file)
  const digest = await wantedDigest(deps, file, request)
  const range = await answerByName(deps, file, digest, request, reply)
  if (range === 'answered') return reply
  describe(file, digest, reply).type(mediaTypeOf(file.path)).header('accept-ranges', 'bytes')
  if (request.method === 'HEAD') return reply.header('content-length', file.size).send()
  return send(file, range, reply, cleanup.move())
}

/** What to say as `Repr-Digest`. */
async function wantedDigest(
  { strongDigests }: GetFileDeps,
  file: OpenFile,
  { headers }: FastifyRequest,
): Promise<string | undefined> {
  for (const algorithm of parseWantedDigests(headers['want-repr-digest'])) {
    if (algorithm === 'sha-256') return storedDigest(file)
    const hex = await strongDigests?.of(file)
    if (hex !== undefined) return formatReprDigest(hex, algorithm)
  }
  return undefined
}

function storedDigest({ sha256 }: ServableFile): string | undefined {
  return sha256 === undefined ? undefined : formatReprDigest(sha256)
}

/**
 * Answers without the content: by a condition, or by a link from which a front server sends it.
 *
 * @param digest - what is said as `Repr-Digest`
 * @returns what of the content is to be sent when that is not enough
 */
async function answerByName(
  deps: GetFileDeps,
  file: ServableFile,
  digest: string | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<RangeOutcome | 'answered'> {
  const outcome = evaluateConditions(parseConditions(request.headers), file, true)
  if (outcome === 'failed') throw conditionFailed(file)
  if (outcome === 'not-modified') {
    describe(file, digest, reply).code(304).send()
    return 'answered'
  }
  const range = rangeOf(request, file)
  if (range === 'unsatisfiable') throw unsatisfiable(file, reply)
  const link = await linkFor(deps, file, request, range)
  if (link === undefined) return range
  describe(file, digest, reply).type(mediaTypeOf(file.path)).header('x-accel-redirect', link).send()
  return 'answered'
}

/** What tells the content, without the content. */
function describe(
  file: ServableFile,
  digest: string | undefined,
  reply: FastifyReply,
): FastifyReply {
  if (file.etag !== undefined) reply.header('etag', file.etag)
  if (digest !== undefined) reply.header('repr-digest', digest)
  return reply
    .header('last-modified', formatHttpDate(file.modifiedMs))
    .header('cache-control', CACHE_CONTROL)
}

function rangeOf({ method, headers }: FastifyRequest, file: ServableFile): RangeOutcome {
  const ifRange = headers['if-range']
  const stated = typeof ifRange === 'string' ? ifRange : undefined
  if (method !== 'GET' || !rangeApplies(stated, file)) return 'whole'
  return parseRange(headers.range, file.size)
}

function unsatisfiable(file: ServableFile, reply: FastifyReply): BrokerError {
  reply.header('content-range', formatContentRange(undefined, file.size))
  return new BrokerError('RANGE_NOT_SATISFIABLE', `the file has ${file.size} bytes`)
}

/** What nginx would judge once more, and by its own rules: it refuses what it cannot read. */
const JUDGED_BY_NGINX = ['if-match', 'if-unmodified-since']

/**
 * Where nginx finds the content, when it would answer as we do: it judges some conditions again, and
 * answers a range that it cannot read with an error, and one of a HEAD with a part, where it is to be ignored.
 */
async function linkFor(
  deps: GetFileDeps,
  file: ServableFile,
  request: FastifyRequest,
  range: RangeOutcome,
): Promise<string | undefined> {
  const prefix = deps.acceleratedBy?.(request)
  if (prefix === undefined) return undefined
  if (JUDGED_BY_NGINX.some((name) => request.headers[name] !== undefined)) return undefined
  const isIgnored = request.headers.range !== undefined && range === 'whole'
  const judgesIfRange = request.method === 'GET' && request.headers['if-range'] !== undefined
  if (isIgnored && !judgesIfRange) return undefined
  const link = await file.serveLink()
  return link === undefined ? undefined : prefix + link
}

async function send(
  file: OpenFile,
  ranges: RangeOutcome,
  reply: FastifyReply,
  cleanup: AsyncDisposableStack,
): Promise<FastifyReply> {
  if (typeof ranges !== 'string' && ranges.length > 1) {
    const body = byteRangesBody(file, ranges, mediaTypeOf(file.path))
    reply.code(206).type(body.contentType).header('content-length', body.length)
    return sendStream(body.content(), reply, cleanup)
  }
  const whole: ByteRange = { first: 0, last: file.size - 1 }
  const [range = whole] = typeof ranges === 'string' ? [] : ranges
  if (range !== whole) {
    reply.code(206).header('content-range', formatContentRange(range, file.size))
  }
  const length = lengthOf(range)
  reply.header('content-length', length)
  const content = file.read(range.first, range.last + 1)
  if (length > SMALL_BYTES) return sendStream(content, reply, cleanup)
  await using _ = cleanup
  const parts: Uint8Array[] = []
  for await (const part of content) parts.push(part)
  return reply.send(parts.length === 1 ? parts[0] : Buffer.concat(parts))
}

/** The file is closed with the stream, also when the client goes away before the first byte. */
function sendStream(
  content: AsyncIterable<Uint8Array>,
  reply: FastifyReply,
  cleanup: AsyncDisposableStack,
): FastifyReply {
  const stream = Readable.from(content, { objectMode: false })
  stream.once('close', () => {
    cleanup.disposeAsync().catch((error: unknown) => {
      const fields = { event: 'files.close', requestId: reply.request.id, err: error }
      reply.log.warn(fields, 'cannot close a file')
    })
  })
  return reply.send(stream)
}

/** Browsers that ask for a directory without its slash are led to the listing. */
async function answerMissing(
  store: FileStore,
  path: FilePath,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!(await isVisibleDirectory(store, path, request))) throw noSuchFile()
  return reply.redirect(`${encodePath(path.split('/').at(-1) ?? '')}/`, 307)
}
