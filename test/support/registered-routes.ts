import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'

/** The routes, e.g. `GET /livez`, that are registered while `start` runs. */
export async function routesRegisteredBy(start: () => Promise<void>): Promise<ReadonlySet<string>> {
  const routes = new Set<string>()
  const collect = (message: unknown) => {
    const { fastify } = message as { readonly fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const name of [method].flat()) routes.add(`${name} ${url}`)
    })
  }
  subscribe('fastify.initialization', collect)
  try {
    await start()
  } finally {
    unsubscribe('fastify.initialization', collect)
  }
  return routes
}
