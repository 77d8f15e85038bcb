import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asyncApiDocument } from './asyncapi-document.ts'
import { renderDescriptionPage } from './description-page.ts'
import { openApiDocument } from './openapi-document.ts'

export interface DescriptionDeps {
  readonly version: string
  /** Where the caller reaches the broker, e.g. `https://broker.example`; may be empty. */
  publicUrlOf(request: FastifyRequest): string
}

/** `GET /openapi.json`, `/openapi` and `/asyncapi.json`: the interfaces for programs and for people. */
export function installDescription(app: FastifyInstance, deps: DescriptionDeps): void {
  const { version } = deps
  const page = renderDescriptionPage(version)
  const contextOf = (request: FastifyRequest) => {
    return { version, publicUrl: deps.publicUrlOf(request).replace(/\/$/, '') }
  }
  app.get('/openapi.json', async (request) => openApiDocument(contextOf(request)))
  app.get('/asyncapi.json', async (request) => asyncApiDocument(contextOf(request)))
  app.get('/openapi', async (_, reply) =>
    reply
      .header('content-security-policy', page.contentSecurityPolicy)
      .type('text/html; charset=utf-8')
      .send(page.html),
  )
}
