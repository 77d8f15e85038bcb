/** A peer: bare Fastify that answers every download with `X-Accel-Redirect`, and asks nobody who they are. */
import Fastify from 'fastify'

const [socketPath = ''] = process.argv.slice(2)
const app = Fastify()
app.get<{ Params: { '*': string } }>('/files/*', (request, reply) =>
  reply
    .header('x-accel-redirect', `/-/serve/${request.params['*']}`)
    .type('application/octet-stream')
    .send(),
)
await app.listen({ path: socketPath })
