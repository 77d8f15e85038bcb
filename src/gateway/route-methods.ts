import type { FastifyInstance } from 'fastify'

/** Which methods each address takes, so that a wrong method is told from a wrong address. */
export class RouteMethods {
  readonly #methods = new Map<string, Set<string>>()

  /** Takes note of every route that is added from now on. */
  observe(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method }) => {
      const methods = this.#methods.get(url) ?? new Set()
      for (const name of [method].flat()) methods.add(name)
      this.#methods.set(url, methods)
    })
  }

  /** Methods of the routes that `path` would reach, sorted; empty when there is none. */
  of(path: string): string[] {
    const found = [...this.#methods].filter(([url]) => reaches(url, path))
    return [...new Set(found.flatMap(([, methods]) => [...methods]))].sort()
  }
}

function reaches(url: string, path: string): boolean {
  if (url === '*' || url === '/*') return false
  return url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path
}
