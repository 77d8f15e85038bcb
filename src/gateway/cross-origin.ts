import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** What a page of another origin may read of an answer. */
const EXPOSED = [
  'Broker-Position',
  'Content-Range',
  'ETag',
  'Location',
  'Repr-Digest',
  'Retry-After',
  'X-Request-Id',
]

/**
 * Lets pages of the listed origins use the broker with a token of their own. Before identity is asked for: a
 * preflight carries no credential. @see Fetch Living Standard, section 3.2
 */
export async function allowCrossOrigin(
  app: FastifyInstance,
  origins: readonly string[],
): Promise<void> {
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH'],
    exposedHeaders: EXPOSED,
    maxAge: 600,
  })
}
