/** Why the broker ends a WebSocket. `docs/protocol.md` says what a client does about each. */
export const CLOSE_CODES = {
  goingAway: 1001,
  messageTooBig: 1009,
  serviceRestart: 1012,
  protocolError: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  authenticationTimeout: 4408,
  tooMany: 4429,
  slowConsumer: 4508,
} as const

export type CloseReason = keyof typeof CLOSE_CODES

/** After these a client may reconnect and resume; after the others it must change something first. */
export const RECONNECTABLE: ReadonlySet<number> = new Set([
  CLOSE_CODES.goingAway,
  CLOSE_CODES.serviceRestart,
  CLOSE_CODES.tooMany,
  CLOSE_CODES.slowConsumer,
])
