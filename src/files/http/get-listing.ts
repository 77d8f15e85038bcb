import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FilePath } from '../../protocol/file-path.ts'
import { BrokerError } from '../../protocol/problem.ts'
import { parseSwitch } from '../../protocol/query-switch.ts'
import type { FileStore, ListedEntry } from '../store/file-store.ts'
import { preferredType } from './accept.ts'
import { mayListDirectory, refusal } from './file-rights.ts'
import type { FileTarget } from './file-target.ts'
import { getArchive } from './get-archive.ts'
import {
  DEFAULT_LIMIT,
  type Listing,
  type ListingEntry,
  listingEntry,
  parseLimit,
  takePage,
} from './listing.ts'
import { renderListingPage } from './listing-page.ts'
import { linkNextPage, nextPageQuery } from './next-page.ts'
import { ARCHIVE_TYPE } from './tar-archive.ts'

const FORMS = ['application/json', 'text/html', 'application/x-ndjson', ARCHIVE_TYPE] as const

/** A page is also a place to click for a download, which a sandbox without this word forbids. */
const PAGE_POLICY = "sandbox allow-downloads; frame-ancestors 'none'"

/**
 * `GET` and `HEAD` of a directory: a page of JSON or HTML, with `limit` one of NDJSON and else all its lines
 * while they are read, or the files themselves in an archive.
 *
 * @throws {BrokerError} `NOT_FOUND`, `UNAUTHENTICATED`, `REQUEST_INVALID`, `NOT_ACCEPTABLE`
 */
export async function getListing(
  store: FileStore,
  target: FileTarget,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { path, query } = target
  const form = formOf(query, request.headers.accept)
  if (form === undefined) {
    throw new BrokerError('NOT_ACCEPTABLE', `a listing is ${FORMS.join(', ')}`)
  }
  if (form === ARCHIVE_TYPE) return getArchive(store, path, request, reply)
  const limit = parseLimit(query.get('limit'))
  const entries = await visibleEntries(store, target, request)
  reply.header('cache-control', 'private, no-cache').header('vary', 'accept')
  if (form === 'application/x-ndjson' && limit === undefined) {
    return reply.type(form).send(Readable.from(lines(entries)))
  }
  const page = await takePage(entries, limit ?? DEFAULT_LIMIT)
  const { next } = page
  linkNextPage(reply, query, next)
  if (form === 'application/x-ndjson') return reply.type(form).send(page.entries.map(line).join(''))
  const listing: Listing = { path, ...page }
  if (form === 'application/json') return reply.send(listing)
  reply.header('content-security-policy', PAGE_POLICY).type('text/html; charset=utf-8')
  const base = /^[^?#]*\/(?:[?#]|$)/.test(request.raw.url ?? '') ? './' : './files/'
  const nextQuery = next === null ? undefined : nextPageQuery(query, next)
  return reply.send(renderListingPage(listing, { base, nextQuery }))
}

/** A link or a form cannot say `Accept`: `?format=tar` can be written in it. */
function formOf(query: URLSearchParams, accept: string | undefined) {
  const format = query.get('format')
  if (format === null) return preferredType(accept, FORMS)
  return format === 'tar' ? ARCHIVE_TYPE : undefined
}

/** True when the principal may know that there is such a directory, and there is. */
export async function isVisibleDirectory(
  store: FileStore,
  path: FilePath,
  { principal }: FastifyRequest,
): Promise<boolean> {
  if (!mayListDirectory(principal, path)) return false
  const nothing = { recursive: false, after: '', showsFile: no, showsDirectory: no }
  return (await store.list(path, nothing)) !== undefined
}

async function visibleEntries(
  store: FileStore,
  { path, query }: FileTarget,
  { principal }: FastifyRequest,
): Promise<AsyncIterable<ListedEntry>> {
  const options = {
    recursive: parseSwitch(query, 'recursive'),
    after: query.get('cursor') ?? '',
    showsFile: (file: FilePath) => principal.rights.may('list', file),
    showsDirectory: (directory: FilePath) => mayListDirectory(principal, directory),
  }
  const isKnown = mayListDirectory(principal, path)
  if (!isKnown && principal.user === null) throw refusal(principal, 'list')
  const entries = isKnown ? await store.list(path, options) : undefined
  if (entries === undefined) throw new BrokerError('NOT_FOUND', 'there is no such directory')
  return entries
}

async function* lines(entries: AsyncIterable<ListedEntry>): AsyncGenerator<string> {
  for await (const entry of entries) yield line(listingEntry(entry))
}

function line(entry: ListingEntry): string {
  return `${JSON.stringify(entry)}\n`
}

function no(): boolean {
  return false
}
