import type { IncomingHttpHeaders } from 'node:http'
import { BrokerError } from '../../protocol/problem.ts'
import type { PartChecksum } from '../uploads/partial-file.ts'

/** The fields of tus 1.0.0 that say where a part goes and what it is. */

/** The type of every part. */
export const PART_TYPE = 'application/offset+octet-stream'

/** Names of tus, the names that we have for them, and their bytes. */
const ALGORITHMS = {
  sha1: { algorithm: 'sha-1', bytes: 20 },
  sha256: { algorithm: 'sha-256', bytes: 32 },
  sha512: { algorithm: 'sha-512', bytes: 64 },
} as const

export const CHECKSUM_ALGORITHMS = Object.keys(ALGORITHMS).join(',')

/** `Upload-Length`. @throws {BrokerError} `REQUEST_INVALID` */
export function parseUploadLength(headers: IncomingHttpHeaders): number {
  if (headers['upload-defer-length'] !== undefined) {
    throw new BrokerError('REQUEST_INVALID', 'the length must be known when an upload is created')
  }
  return parseCount(headers, 'upload-length')
}

/** `Upload-Offset`. @throws {BrokerError} `REQUEST_INVALID` */
export function parseUploadOffset(headers: IncomingHttpHeaders): number {
  return parseCount(headers, 'upload-offset')
}

/** `Upload-Checksum`. @throws {BrokerError} `DIGEST_INVALID`, also for an algorithm that is not known */
export function parseUploadChecksum(headers: IncomingHttpHeaders): PartChecksum | undefined {
  if (headers['content-digest'] !== undefined) {
    throw invalid('content-digest', 'the checksum of a part is stated as upload-checksum')
  }
  const field = 'upload-checksum'
  const value = headers[field]
  if (value === undefined) return undefined
  const [name = '', encoded = '', ...more] = String(value).trim().split(/ +/)
  const known = Object.hasOwn(ALGORITHMS, name)
  if (!known) throw invalid(field, `the algorithms are ${CHECKSUM_ALGORITHMS}`)
  const { algorithm, bytes } = ALGORITHMS[name as keyof typeof ALGORITHMS]
  const digest = Buffer.from(encoded, 'base64')
  if (digest.length !== bytes || more.length > 0) {
    throw invalid(field, `it looks like ${name} <base64 of ${bytes} bytes>`)
  }
  return { algorithm, hex: digest.toString('hex') }
}

/** @throws {BrokerError} `MEDIA_TYPE_UNSUPPORTED` */
export function requirePart(headers: IncomingHttpHeaders): void {
  if (isPart(headers)) return
  throw new BrokerError('MEDIA_TYPE_UNSUPPORTED', `a part is of type ${PART_TYPE}`)
}

/**
 * Whether a creation brings the first part.
 *
 * @throws {BrokerError} `MEDIA_TYPE_UNSUPPORTED` for a body that is no part
 */
export function bringsPart(headers: IncomingHttpHeaders): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers
  if (length === '0' && coding === undefined) return false
  requirePart(headers)
  return true
}

function isPart({ 'content-type': type = '' }: IncomingHttpHeaders): boolean {
  return type.split(';', 1)[0]?.trim().toLowerCase() === PART_TYPE
}

function parseCount(headers: IncomingHttpHeaders, field: string): number {
  const value = headers[field]
  const count = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isSafeInteger(count)) return count
  throw new BrokerError('REQUEST_INVALID', `${field} is a number of bytes`)
}

function invalid(field: string, rule: string): BrokerError {
  return new BrokerError('DIGEST_INVALID', `${field} cannot be read: ${rule}`)
}
