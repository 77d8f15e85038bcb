import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Context, Router, type Socket, XPublisher } from 'zeromq'

/** How a bound socket learns who connects. One mechanism per socket: with two set, the last one wins. */
export type ZmqMechanism =
  | { readonly kind: 'null' }
  | { readonly kind: 'plain' }
  /** @param secretKey - of the server, Z85 */
  | { readonly kind: 'curve'; readonly secretKey: string }

export interface BoundSocketOptions {
  readonly context: Context
  /** E.g. `tcp://127.0.0.1:5556`; port 0 takes a free one, which `lastEndpoint` tells. */
  readonly address: string
  readonly mechanism: ZmqMechanism
  /** Names the socket to the authentication handler. Not empty. */
  readonly domain: string
  /** A peer that sends a longer frame is disconnected. */
  readonly maxFrameBytes: number
  /** Messages that libzmq holds for a peer that does not take them. */
  readonly sendHighWaterMark: number
}

/** Options of libzmq 4.3 that the binding does not name. */
const DISCONNECT_MESSAGE = 111
const TOPICS_COUNT = 116

/** `close()` is asynchronous: an address is free again only a moment later. */
const BIND_TIMEOUT_MS = 2000
const BIND_RETRY_MS = 20

const IPV6 = /^tcp:\/\/(\[|\*)/

/** Tells events to plain SUB sockets. While one of them is full, `send` rejects with `EAGAIN`. */
export class SubscribeSocket extends XPublisher {
  /**
   * How many different prefixes are subscribed to: at least those that are, since a peer that vanishes is
   * not subtracted. The subscription frames that come upstream are no substitute: libzmq passes on the
   * unsubscribing of what a peer never subscribed to, so that one peer could pretend that all have left.
   */
  get topicCount(): number {
    return this.getInt32Option(TOPICS_COUNT)
  }

  /** Sends to everybody who is not full. Who is gets nothing until half of what is held for it is read. */
  sendToReady(frames: [topic: string, json: Buffer]): Promise<void> {
    setLive(() => {
      this.noDrop = false
    })
    const sent = this.send(frames)
    setLive(() => {
      this.noDrop = true
    })
    return sent
  }
}

/** Speaks with REQ and DEALER sockets. */
export class SessionSocket extends Router {
  /**
   * From here on, the end of a connection arrives as a message of this one frame from its peer. A secret,
   * so that no peer can send it; and unlike ROUTER_NOTIFY it is not lost when the peer's queue is full,
   * after which a newcomer could take the routing id and be sent what was meant for the one before.
   */
  tellDisconnects(secret: Buffer): void {
    this.setStringOption(DISCONNECT_MESSAGE, secret)
  }
}

export function bindSubscribeSocket(options: BoundSocketOptions): Promise<SubscribeSocket> {
  // Without `noDrop` what comes too fast for a subscriber would vanish without a word.
  return bound(new SubscribeSocket({ ...settings(options), noDrop: true }), options)
}

export interface BoundSessionSocket {
  readonly socket: SessionSocket
  /** The one frame by which libzmq tells that a peer is gone. */
  readonly disconnectSecret: Buffer
}

export async function bindSessionSocket(options: BoundSocketOptions): Promise<BoundSessionSocket> {
  // Without `mandatory` a message to a peer that is full or gone would vanish without a word.
  const socket = new SessionSocket({ ...settings(options), mandatory: true })
  const disconnectSecret = randomBytes(24)
  socket.tellDisconnects(disconnectSecret)
  return { socket: await bound(socket, options), disconnectSecret }
}

/**
 * Everything that a socket which strangers reach needs, set together. libzmq aborts the process at the
 * first client when the domain is enforced and empty, and lets in any CURVE key when it is not enforced.
 */
function settings(options: BoundSocketOptions) {
  const { context, address, mechanism, domain, maxFrameBytes, sendHighWaterMark } = options
  if (domain === '') throw new Error('a bound socket needs a domain')
  return {
    context,
    linger: 0,
    ...mechanismSettings(mechanism),
    zapDomain: domain,
    zapEnforceDomain: true,
    maxMessageSize: maxFrameBytes,
    sendHighWaterMark,
    // A send is then settled when it returns: it never waits, and the next one is never refused as busy.
    sendTimeout: 0,
    handshakeInterval: 5000,
    heartbeatInterval: 10_000,
    heartbeatTimeout: 30_000,
    heartbeatTimeToLive: 30_000,
    backlog: 1024,
    tcpKeepalive: 1,
    ipv6: IPV6.test(address),
  }
}

function mechanismSettings(mechanism: ZmqMechanism) {
  switch (mechanism.kind) {
    case 'null':
      return {}
    case 'plain':
      return { plainServer: true }
    case 'curve':
      return { curveServer: true, curveSecretKey: mechanism.secretKey }
  }
}

async function bound<Bound extends Socket>(
  socket: Bound,
  { address }: BoundSocketOptions,
): Promise<Bound> {
  const deadline = performance.now() + BIND_TIMEOUT_MS
  for (;;) {
    try {
      await socket.bind(address)
      return socket
    } catch (error) {
      if (!isErrno(error, 'EADDRINUSE') || performance.now() > deadline) {
        socket.close()
        throw new Error(`cannot bind ${address}`, { cause: error })
      }
    }
    await delay(BIND_RETRY_MS)
  }
}

/**
 * Sets an option of a bound socket. The binding then warns that it takes effect at the next bind, which is
 * not true of `noDrop`, and says so each time.
 */
function setLive(set: () => void): void {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    set()
  } finally {
    process.emitWarning = emitWarning
  }
}

/** True for an error of libzmq with this code, e.g. `EAGAIN`. */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
