import { getSystemErrorMap } from 'node:util'

/** An error in words for a person, e.g. `cannot read app.tgz: no such file or directory`. */
export function describeSystemError(what: string, cause: unknown): Error {
  const { errno, message } = cause as NodeJS.ErrnoException
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)
  return new Error(`${what}: ${known?.[1] ?? message}`, { cause })
}
