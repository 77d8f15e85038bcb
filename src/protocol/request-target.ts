import { BrokerError } from './problem.ts'

/** The names in a raw request target, each percent-decoded once. */
export interface RequestTarget {
  /** Decoded segments after the leading `/`, without the empty one that a trailing `/` leaves. */
  readonly segments: readonly string[]
  /** True when the path ends with `/`. */
  readonly isDirectory: boolean
}

/**
 * Reads the path of a raw request target (RFC 9112 section 3.2, origin or absolute form). A router that
 * decodes first cannot tell `a%2Fb` from `a/b`; here segment borders are those of the raw text.
 *
 * @param target - as received, e.g. `/files/a%20b/?x=1`
 * @throws {BrokerError} `TARGET_INVALID` for a malformed escape, an encoded `/`, `\` or NUL, or bytes that
 *   are not UTF-8
 */
export function parseRequestTarget(target: string): RequestTarget {
  const path = pathOf(target)
  const isDirectory = path.endsWith('/')
  const raw = path.slice(1, isDirectory ? -1 : undefined)
  const segments = path === '/' || raw === '' ? [] : raw.split('/').map(decodeSegment)
  return { segments, isDirectory }
}

function pathOf(target: string): string {
  const origin = target.startsWith('/')
    ? target
    : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '') || '/'
  const end = origin.search(/[?#]/)
  return end === -1 ? origin : origin.slice(0, end)
}

function decodeSegment(raw: string): string {
  const isEscaped = raw.includes('%')
  if ((isEscaped && /%2f|%5c|%00/i.test(raw)) || raw.includes('\\')) {
    throw new BrokerError('TARGET_INVALID', 'the URL holds an encoded slash, a backslash or a NUL')
  }
  if (!isEscaped) return raw
  try {
    return decodeURIComponent(raw)
  } catch (cause) {
    throw new BrokerError('TARGET_INVALID', 'the URL holds a malformed percent escape', { cause })
  }
}
