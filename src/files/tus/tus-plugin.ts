import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { BrokerError } from '../../protocol/problem.ts'
import { deleteUpload, headUpload, patchUpload, type TusDeps } from './continue-upload.ts'
import { createUpload } from './create-upload.ts'
import { CHECKSUM_ALGORITHMS } from './upload-fields.ts'

const VERSION = '1.0.0'
const EXTENSIONS = 'creation,creation-with-upload,checksum,expiration,termination'

/**
 * `/uploads`: resumable uploads, the core of tus and the extensions above.
 *
 * @see tus 1.0.0, https://tus.io/protocols/resumable-upload
 */
export async function tusPlugin(app: FastifyInstance, deps: TusDeps): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.addHook('preParsing', async ({ method, headers }, reply) => {
    if (method === 'OPTIONS' || headers['tus-resumable'] === VERSION) return
    reply.header('tus-version', VERSION)
    throw new BrokerError('TUS_VERSION_UNSUPPORTED', `tus-resumable is ${VERSION}`)
  })
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('tus-resumable', VERSION).header('cache-control', 'no-store')
    return payload
  })
  // A part that is on its way could take hours; its client goes on when the broker is there again.
  app.addHook('preClose', async () => deps.uploads.cutAll())
  for (const url of ['/uploads', '/uploads/']) {
    app.post(url, (request, reply) => createUpload(deps, request, reply))
  }
  for (const url of ['/uploads', '/uploads/*']) {
    app.options(url, (_request, reply) => describe(deps, reply))
  }
  registerUpload(app, deps)
}

function registerUpload(app: FastifyInstance, deps: TusDeps): void {
  const url = '/uploads/*'
  app.head(url, (request, reply) => headUpload(deps, idOf(request), request, reply))
  app.patch(url, (request, reply) => patchUpload(deps, idOf(request), request, reply))
  app.delete(url, (request, reply) => deleteUpload(deps, idOf(request), request, reply))
  // For clients whose HTTP library, or whose proxy, knows no PATCH and no DELETE.
  app.post(url, (request, reply) => {
    const method = request.headers['x-http-method-override']
    if (method === 'PATCH') return patchUpload(deps, idOf(request), request, reply)
    if (method === 'DELETE') return deleteUpload(deps, idOf(request), request, reply)
    throw new BrokerError('METHOD_NOT_ALLOWED', 'an upload takes HEAD, PATCH and DELETE')
  })
}

function describe({ maxFileBytes }: TusDeps, reply: FastifyReply): FastifyReply {
  if (maxFileBytes !== undefined && Number.isFinite(maxFileBytes)) {
    reply.header('tus-max-size', maxFileBytes)
  }
  return reply
    .code(204)
    .header('tus-version', VERSION)
    .header('tus-extension', EXTENSIONS)
    .header('tus-checksum-algorithm', CHECKSUM_ALGORITHMS)
    .send()
}

function idOf({ params }: FastifyRequest): string {
  return (params as { readonly '*': string })['*']
}
