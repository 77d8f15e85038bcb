import type { Branded } from './branded.ts'
import { err, ok, type Result } from './result.ts'
import { hasBidirectionalControl, hasControlCharacter, isLongerThan, nameFault } from './text.ts'

/** A file's name below `/files/`, e.g. `builds/app/1.2/app.tgz`. Never begins or ends with `/`. */
export type FilePath = Branded<'FilePath'>

/** Longest path, in bytes of UTF-8. */
export const MAX_PATH_BYTES = 1024

/** Deepest path. */
export const MAX_PATH_SEGMENTS = 32

/** Longest segment, in bytes of UTF-8: NAME_MAX of Linux file systems. */
export const MAX_SEGMENT_BYTES = 255

/**
 * Checks `text` against the path grammar: 1 to 32 segments joined by `/`.
 *
 * @param text - untrusted and already percent-decoded once
 * @returns the path, or the rule it breaks, in words fit for a user
 */
export function parseFilePath(text: string): Result<FilePath> {
  const fault = nameFault(text, MAX_PATH_BYTES)
  if (fault !== undefined) return err(`path: ${fault}`)
  const segments = text.split('/')
  if (segments.length > MAX_PATH_SEGMENTS)
    return err(`path: more than ${MAX_PATH_SEGMENTS} segments`)
  const bad = segments.find((segment) => !isPathSegment(segment))
  return bad === undefined ? ok(text as FilePath) : err(`path: bad segment ${JSON.stringify(bad)}`)
}

/** True for a name that a file or directory may have, hidden ones included. */
export function isPathSegment(segment: string): boolean {
  return (
    segment !== '' &&
    segment !== '.' &&
    segment !== '..' &&
    !segment.includes('\\') &&
    !segment.includes('/') &&
    !hasControlCharacter(segment) &&
    !hasBidirectionalControl(segment) &&
    !isLongerThan(segment, MAX_SEGMENT_BYTES)
  )
}
