import { BrokerError } from '../../protocol/problem.ts'

/** Longest `Upload-Metadata`; it is kept, and sent back with every HEAD. */
const MAX_CHARACTERS = 8192

/**
 * Reads `Upload-Metadata`: pairs of a key and its value in base64, or keys alone, separated by commas.
 *
 * @returns values as text by key; `''` for a key alone
 * @throws {BrokerError} `REQUEST_INVALID`; also for a value that is not UTF-8, and for a key that comes twice
 * @see tus 1.0.0, extension creation
 */
export function parseUploadMetadata(text: string): ReadonlyMap<string, string> {
  if (text.length > MAX_CHARACTERS) throw invalid(`it has more than ${MAX_CHARACTERS} characters`)
  const metadata = new Map<string, string>()
  for (const pair of text.split(',')) {
    const [, key, encoded = ''] =
      /^\s*([\x21-\x2b\x2d-\x7e]+)(?: ([A-Za-z0-9+/=]*))?\s*$/.exec(pair) ?? []
    if (key === undefined) throw invalid('it looks like <key> <base64>,<key> <base64>')
    if (metadata.has(key)) throw invalid(`${key} comes twice`)
    metadata.set(key, decode(key, encoded))
  }
  return metadata
}

function decode(key: string, encoded: string): string {
  const bytes = Buffer.from(encoded, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') !== encoded.replace(/=+$/, '')) {
    throw invalid(`${key} is not base64`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw invalid(`${key} is not UTF-8`, cause)
  }
}

function invalid(rule: string, cause?: unknown): BrokerError {
  return new BrokerError('REQUEST_INVALID', `upload-metadata cannot be read: ${rule}`, { cause })
}
