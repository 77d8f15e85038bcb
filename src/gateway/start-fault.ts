import { UsersFileRefused } from './users-in-force.ts'

/** Why the broker did not start, and what helps where that is known, for whoever started it. */
export function startFault(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof UsersFileRefused) return error.message
  const { message } = error
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & {
    readonly address?: string
    readonly port?: number
  }
  if (code === 'EADDRINUSE' && syscall === 'listen') {
    const place = port === undefined ? address : `${address}:${port}`
    return `${place} is taken by another program: stop it, or choose another --listen`
  }
  if (/^cannot bind /.test(message)) {
    return `${message}, as of --zmq-subscribe or --zmq-session: is another broker running?`
  }
  if (/in use by another process$/.test(message)) {
    return `${message}: another broker runs with this --data`
  }
  return message
}
