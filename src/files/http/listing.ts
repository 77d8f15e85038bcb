import { BrokerError } from '../../protocol/problem.ts'
import type { ListedEntry } from '../store/file-store.ts'

/** A line of a listing as it is sent; what is unknown, or not of a directory, is null. */
export interface ListingEntry {
  readonly name: string
  readonly type: 'file' | 'directory'
  readonly size: number | null
  /** ISO 8601. */
  readonly modified: string | null
  readonly etag: string | null
}

export interface Listing {
  /** The directory, without slashes around it; `''` for the root. */
  readonly path: string
  readonly entries: readonly ListingEntry[]
  /** The `cursor` of the next page; null on the last one. */
  readonly next: string | null
}

export const DEFAULT_LIMIT = 1000
export const MAX_LIMIT = 10_000

export function listingEntry({ name, type, size, modifiedMs, etag }: ListedEntry): ListingEntry {
  return {
    name,
    type,
    size: size ?? null,
    modified: modifiedMs === undefined ? null : new Date(modifiedMs).toISOString(),
    etag: etag ?? null,
  }
}

/** @returns undefined when none is given. @throws {BrokerError} `REQUEST_INVALID` */
export function parseLimit(text: string | null): number | undefined {
  if (text === null) return undefined
  const limit = Number(text)
  if (/^\d{1,6}$/.test(text) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new BrokerError('REQUEST_INVALID', `limit is a number from 1 to ${MAX_LIMIT}`)
}

/** Takes one page, and looks whether there is more after it. */
export async function takePage(
  entries: AsyncIterable<ListedEntry>,
  limit: number,
): Promise<Pick<Listing, 'entries' | 'next'>> {
  const page: ListingEntry[] = []
  for await (const entry of entries) {
    if (page.length === limit) return { entries: page, next: page.at(-1)?.name ?? null }
    page.push(listingEntry(entry))
  }
  return { entries: page, next: null }
}
