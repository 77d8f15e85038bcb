import Fastify, { type FastifyInstance } from 'fastify'
import type { Action, Principal, Rights } from '../../src/auth/principal.ts'
import { type FilesPluginDeps, filesPlugin } from '../../src/files/plugin.ts'
import type { FileStore } from '../../src/files/store/file-store.ts'
import { toProblem } from '../../src/protocol/problem.ts'
import { patternMatches, patternsOverlap } from '../../src/protocol/segment-pattern.ts'

/** Grants by action; an action that is not there is denied everywhere. */
export type Grants = Partial<Record<Action, readonly string[]>>

export const EVERYTHING: Grants = {
  list: ['**'],
  read: ['**'],
  create: ['**'],
  replace: ['**'],
  delete: ['**'],
}

export function principalWith(grants: Grants, user: string | null = 'tester'): Principal {
  const rights: Rights = {
    may: (action: Action, resource = '') =>
      (grants[action] ?? []).some((pattern) => patternMatches(pattern, String(resource))),
    overlaps: (action, filter) =>
      (grants[action] ?? []).some((pattern) => patternsOverlap(pattern, filter)),
    covers: () => false,
  }
  return { user, rights, credential: null }
}

export interface FilesAppOptions extends Partial<Omit<FilesPluginDeps, 'store'>> {
  /** Asked for each request. */
  readonly principal?: () => Principal
}

/** The plugin alone, with problems rendered as the gateway does. */
export function filesApp(store: FileStore, options: FilesAppOptions = {}): FastifyInstance {
  const app = Fastify({ routerOptions: { maxParamLength: 8192 } })
  const { principal = () => principalWith(EVERYTHING), ...deps } = options
  app.decorateRequest('principal')
  app.addHook('onRequest', async (request) => {
    request.principal = principal()
  })
  app.setErrorHandler((error, _request, reply) => {
    const problem = toProblem(error)
    if (problem.code === 'INTERNAL') console.error(error)
    return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
  })
  app.register(filesPlugin, { store, barrier: async () => 't:0', ...deps })
  return app
}

/** A form with files by name, as a browser sends it. */
export function formOf(
  files: readonly (readonly [name: string, content: string])[],
  boundary = 'xxBOUNDARYxx',
): { readonly headers: Record<string, string>; readonly payload: string } {
  const parts = files.map(
    ([name, content]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
      `Content-Type: application/octet-stream\r\n\r\n${content}\r\n`,
  )
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    payload: `${parts.join('')}--${boundary}--\r\n`,
  }
}
