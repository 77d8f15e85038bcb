import { err, ok, type Result } from './result.ts'

/**
 * A place in the event log, written `<epoch>:<offset>`. Offsets increase strictly within an epoch, not
 * densely. Clients treat the string as opaque.
 */
export interface Position {
  readonly epoch: string
  readonly offset: number
}

/** Where a stream starts: after a position, before everything kept, or with what comes next. */
export type Since = Position | 'earliest' | 'latest'

export function formatPosition(epoch: string, offset: number): string {
  return `${epoch}:${offset}`
}

export function parsePosition(text: string): Result<Position> {
  const match = /^([0-9a-z]{1,32}):(0|[1-9][0-9]{0,15})$/.exec(text)
  const [, epoch, digits] = match ?? []
  const offset = Number(digits)
  if (epoch === undefined || !Number.isSafeInteger(offset)) {
    return err('a position looks like k3x9:1042')
  }
  return ok({ epoch, offset })
}

export function parseSince(text: string): Result<Since> {
  return text === 'earliest' || text === 'latest' ? ok(text) : parsePosition(text)
}
