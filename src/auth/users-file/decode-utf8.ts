import { Buffer, isUtf8 } from 'node:buffer'
import { err, ok, type Result } from '../../protocol/result.ts'
import type { UsersFault } from './users-fault.ts'

const LINE_FEED = 0x0a

/** Decodes the whole of `bytes` or says where the first byte is that is not UTF-8. Drops one BOM. */
export function decodeUtf8(bytes: Uint8Array): Result<string, UsersFault> {
  if (isUtf8(bytes)) return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  // UTF-16 and UTF-32 come with these bytes: naming the encoding says what to change in the editor.
  const first = bytes[0]
  const isWide = (first === 0xff || first === 0xfe) && (bytes[1] === 0xfe || bytes[1] === 0xff)
  if (isWide) return err({ message: 'the file is UTF-16, not UTF-8', line: 1, column: 1 })
  return err({ message: 'a byte is not valid UTF-8', ...firstBadPlace(bytes) })
}

function firstBadPlace(bytes: Uint8Array): { line: number; column: number } {
  let line = 1
  let start = 0
  while (start < bytes.length) {
    const feed = bytes.indexOf(LINE_FEED, start)
    const end = feed === -1 ? bytes.length : feed
    // No byte of a longer sequence is a line feed, so each line can be judged by itself.
    if (!isUtf8(bytes.subarray(start, end))) break
    line += 1
    start = end + 1
  }
  const end = bytes.indexOf(LINE_FEED, start)
  const rest = bytes.subarray(start, end === -1 ? bytes.length : end)
  const column = Buffer.from(rest).toString('utf8').indexOf('\ufffd') + 1
  return { line, column: Math.max(1, column) }
}
