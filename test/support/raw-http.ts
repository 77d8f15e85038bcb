import { connect, type Socket } from 'node:net'

/** A TCP connection from an address of the loopback network, whose faults are its end and nothing else. */
export function open(port: number, from = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  return socket.on('error', () => {})
}

/**
 * Sends bytes as they are, which no library would, and resolves with all that comes back until the server
 * ends the connection, or until `isEnough` of it has come.
 */
export function exchange(
  port: number,
  bytes: string | Buffer,
  { from, isEnough = () => false }: { from?: string; isEnough?: (text: string) => boolean } = {},
): Promise<string> {
  return new Promise((resolve) => {
    const socket = open(port, from)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (isEnough(text)) socket.destroy()
    })
    socket.once('close', () => resolve(text))
    // Not ended: Node takes a half-closed connection for one whose client is gone.
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  })
}

/** The statuses of the answers in what an `exchange` brought, informational ones left out. */
export function statusesIn(text: string): number[] {
  const found = [...text.matchAll(/^HTTP\/1\.[01] (\d{3}) /gm)].map(([, status]) => Number(status))
  return found.filter((status) => status >= 200)
}
