import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** What a page of another origin may read of an answer. */
const EXPOSED = [
  'Broker-Position',
  'Content-Location',
  'Content-Range',
  'ETag',
  'Link',
  'Location',
  'Repr-Digest',
  'Retry-After',
  'Tus-Checksum-Algorithm',
  'Tus-Extension',
  'Tus-Max-Size',
  'Tus-Resumable',
  'Tus-Version',
  'Upload-Expires',
  'Upload-Length',
  'Upload-Metadata',
  'Upload-Offset',
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
  const options = {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH'],
    exposedHeaders: EXPOSED,
    maxAge: 600,
  }
  await app.register(cors, {
    // An OPTIONS that is no preflight is for the route.
    delegator: async ({ headers }: FastifyRequest) => ({
      ...options,
      preflight: headers['access-control-request-method'] !== undefined,
    }),
  })
}
