import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BrokerError } from '../../protocol/problem.ts'
import { refusal } from './file-rights.ts'
import { parseFileTarget } from './file-target.ts'
import { requireSyncRight, SYNC_PATH } from './post-sync.ts'
import { requireUpload, type UploadDeps } from './put-file.ts'

/**
 * `GET /auth/upload`: whether the request of `X-Original-Method` and `X-Original-URI`, with a body of
 * `X-Original-Length` bytes where that is known, could be accepted, whatever its body is. A front server asks before it reads the body, since an early refusal behind a body
 * that is on its way reaches the client as a 502. It tells nothing that the request itself would not.
 *
 * Answers 204, or the problem that the upload would get.
 */
export async function uploadQuestionPlugin(app: FastifyInstance, deps: UploadDeps): Promise<void> {
  app.get('/auth/upload', async (request, reply) => {
    await answer(deps, request)
    return reply.code(204).send()
  })
}

async function answer(deps: UploadDeps, { principal, headers }: FastifyRequest): Promise<void> {
  const method = headers['x-original-method']
  const target = headers['x-original-uri']
  if (typeof target !== 'string' || (method !== 'PUT' && method !== 'POST')) {
    throw new BrokerError('REQUEST_INVALID', 'no upload is asked about')
  }
  const { path, isDirectory } = parseFileTarget(target)
  if (method === 'POST' && path === SYNC_PATH && !isDirectory) return requireSyncRight(principal)
  if (path !== '' && !isDirectory) {
    const length = headers['x-original-length']
    const stated = typeof length === 'string' ? { 'content-length': length } : {}
    return requireUpload(deps, path, principal, { ...headers, ...stated })
  }
  // A form names its files only in its body.
  const below = path === '' ? '**' : `${path}/**`
  const { rights } = principal
  if (rights.overlaps('create', below) || rights.overlaps('replace', below)) return
  throw refusal(principal, 'create', 'replace')
}
