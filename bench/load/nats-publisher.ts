import { SocketPublisher } from './socket-publisher.ts'
import { digitsOf } from './topic-groups.ts'

export const NATS_CONNECT = 'CONNECT {"verbose":false,"pedantic":false}\r\n'

/** PUB of the client protocol over TCP. */
export function openNatsPublisher(options: {
  readonly host: string
  readonly port: number
  readonly subject: string
  readonly isGrouped?: boolean
}): Promise<SocketPublisher> {
  const { host, port, subject, isGrouped } = options
  const subjectOf = (number: number) =>
    isGrouped ? [subject, ...digitsOf(number)].join('.') : subject
  const address = { host, port, hello: `${NATS_CONNECT}PING\r\n`, welcome: 'PONG' }
  return SocketPublisher.open(address, {
    wrap: (payload, number) => `PUB ${subjectOf(number)} ${payload.length}\r\n${payload}\r\n`,
    ping: 'PING\r\n',
    pong: 'PONG',
  })
}
