import type { FastifyReply } from 'fastify'

/** What makes a listing the one that it is, beside its place. A ticket is good for one request alone. */
const KEPT = ['deleted', 'recursive', 'limit']

/** What the page after the one that `query` asked for is asked for with. */
export function nextPageQuery(query: URLSearchParams, next: string): string {
  const kept = [...query].filter(([name]) => KEPT.includes(name))
  return `?${new URLSearchParams([...kept, ['cursor', next]])}`
}

/** Tells the next page of a listing, whose form may have no place for it. @see RFC 8288 */
export function linkNextPage(
  reply: FastifyReply,
  query: URLSearchParams,
  next: string | null,
): void {
  if (next !== null) reply.header('link', `<${nextPageQuery(query, next)}>; rel="next"`)
}
