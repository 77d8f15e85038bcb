import type { FastifyRequest } from 'fastify'
import { parseUploadMetadata } from '../../files/tus/upload-metadata.ts'
import { BrokerError } from '../../protocol/problem.ts'

const WRITES: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH', 'DELETE'])
const MAX_LENGTH = 2048

/**
 * What a request wanted to change among the files, as it said so: an address, or the path of a resumable
 * upload. Undefined of one that wanted nothing of the kind.
 */
export function wantedWrite(request: Pick<FastifyRequest, 'method' | 'raw'>): string | undefined {
  const { method, raw } = request
  const address = addressOf(raw.url)
  // The front asks in the place of an upload, which it does not send when it is refused.
  if (method === 'GET' && address === '/auth/upload')
    return addressOf(raw.headers['x-original-uri'])
  if (!WRITES.has(method) || !/^\/(?:files|uploads)(?:\/|$)/.test(address)) return undefined
  return pathOfUpload(raw.headers['upload-metadata'])?.slice(0, MAX_LENGTH) ?? address
}

/** Without the query, which may hold a ticket, and of bounded length. */
export function addressOf(target: string | string[] | undefined): string {
  return String(target ?? '')
    .replace(/\?.*/s, '')
    .slice(0, MAX_LENGTH)
}

function pathOfUpload(metadata: string | string[] | undefined): string | undefined {
  if (typeof metadata !== 'string') return undefined
  try {
    return parseUploadMetadata(metadata).get('path')
  } catch (error) {
    if (error instanceof BrokerError) return undefined
    throw error
  }
}
