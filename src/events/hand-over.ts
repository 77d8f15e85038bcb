import type { FastifyRequest } from 'fastify'
import type { StreamKind } from './http/stream-format.ts'

/** A session or a plain stream on a WebSocket, or a streamed response. */
export type HeldKind = 'session' | 'stream' | StreamKind

/**
 * Gives the stream of an admitted request to another process.
 *
 * @param responseHead - status line and header fields with which a streamed response, in chunks, begins
 * @returns false when it stays here
 */
export type HandOver = (kind: HeldKind, request: FastifyRequest, responseHead?: string) => boolean
