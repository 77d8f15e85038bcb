import type { IncomingMessage } from 'node:http'

/** Largest message of a client beside the event itself: its command and its attributes. */
const COMMAND_BYTES = 64 * 1024

/**
 * How the broker speaks WebSocket, in whichever process: without compression, since batches are framed
 * once for all connections.
 */
export function webSocketOptions(maxEventBytes: number) {
  return {
    maxPayload: maxEventBytes + COMMAND_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: chooseSubprotocol,
  }
}

/** The subprotocol of the address, if it is offered; `bearer.<token>` only carries a credential. */
function chooseSubprotocol(offered: Set<string>, { url = '' }: IncomingMessage): string | false {
  const name = /^\/ws(?:[?]|$)/.test(url) ? 'broker.v1.json' : 'cloudevents.json'
  return offered.has(name) && name
}
