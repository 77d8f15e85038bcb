import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Settings } from './settings/settings.ts'

/** @returns the address under which `app` answers now */
export async function listen(
  app: FastifyInstance,
  { listen: address }: Pick<Settings, 'listen'>,
): Promise<string> {
  if (address.kind === 'tcp') return app.listen({ host: address.host, port: address.port })
  await removeDeadSocket(address.path)
  await app.listen({ path: address.path })
  await chmod(address.path, 0o660)
  return `unix:${address.path}`
}

/**
 * Where `app` answers, as a URL without a path: what a client is told who sends no request that would say how
 * it came here. Empty where no URL says it: on a unix socket, on every interface, and before it listens.
 */
export function originOf({ server }: FastifyInstance): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return ''
  const { address: host, family, port } = address
  if (host === '0.0.0.0' || host === '::') return ''
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
}

/** A process that was killed leaves its socket behind, which nobody could listen at again. */
async function removeDeadSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats?.isSocket() === true && !(await isAnswered(path))) await unlink(path)
}

function isAnswered(path: string): Promise<boolean> {
  const socket = connect(path)
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    // Whatever else is wrong with it will be said by whoever listens.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'))
  }).finally(() => socket.destroy())
}
