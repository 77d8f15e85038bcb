import type { FastifyInstance, FastifyRequest } from 'fastify'
import { asyncApiDocument } from './asyncapi-document.ts'
import { renderDescriptionPage } from './description-page.ts'
import { openApiDocument } from './openapi-document.ts'

/** `GET /openapi.json`, `/openapi` and `/asyncapi.json`: the interfaces for programs and for people. */
export function installDescription(app: FastifyInstance, version: string): void {
  const page = renderDescriptionPage(version)
  const contextOf = ({ publicUrl }: FastifyRequest) => ({ version, publicUrl })
  app.get('/openapi.json', async (request) => openApiDocument(contextOf(request)))
  app.get('/asyncapi.json', async (request) => asyncApiDocument(contextOf(request)))
  app.get('/openapi', async (_, reply) =>
    reply
      .header('content-security-policy', page.contentSecurityPolicy)
      .type('text/html; charset=utf-8')
      .send(page.html),
  )
}
