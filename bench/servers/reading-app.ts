/** A peer: bare Fastify that reads a body and says that it has it, and does nothing with it. */
import Fastify from 'fastify'
import { answerCalls } from '../load/process-calls.ts'
import { listenAnywhere } from './app-port.ts'

const app = Fastify({ bodyLimit: 32 * 1024 * 1024 })
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/events/*', (request, reply) =>
  reply.code(201).send({ bytes: Buffer.isBuffer(request.body) ? request.body.length : 0 }),
)

answerCalls({
  listen: async (_: undefined): Promise<number> => {
    await app.ready()
    return listenAnywhere(app.server)
  },
})
