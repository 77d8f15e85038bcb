import { SocketPublisher } from './socket-publisher.ts'

export const NATS_CONNECT = 'CONNECT {"verbose":false,"pedantic":false}\r\n'

/** PUB of the client protocol over TCP. */
export function openNatsPublisher(options: {
  readonly host: string
  readonly port: number
  readonly subject: string
}): Promise<SocketPublisher> {
  const { host, port, subject } = options
  const address = { host, port, hello: `${NATS_CONNECT}PING\r\n`, welcome: 'PONG' }
  return SocketPublisher.open(address, {
    wrap: (payload) => `PUB ${subject} ${payload.length}\r\n${payload}\r\n`,
    ping: 'PING\r\n',
    pong: 'PONG',
  })
}
