import type { FastifyInstance } from 'fastify'

const ADDRESS_HEADERS = ['location', 'content-location']

/** Where clients reach the broker below a path of `publicUrl`, the addresses in its answers begin with it. */
export function prefixAddresses(app: FastifyInstance, publicUrl: string): void {
  const base = new URL(publicUrl).pathname.replace(/\/$/, '')
  if (base === '') return
  app.addHook('onSend', (_request, reply, payload, done) => {
    for (const name of ADDRESS_HEADERS) {
      const address = reply.getHeader(name)
      if (typeof address === 'string' && address.startsWith('/')) reply.header(name, base + address)
    }
    done(null, payload)
  })
}
