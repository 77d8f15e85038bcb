import { randomBytes } from 'node:crypto'
import type { OpenFile } from '../store/file-store.ts'
import { type ByteRange, formatContentRange, lengthOf } from './byte-range.ts'

/** The body of an answer with several ranges. @see RFC 9110 section 14.6 */
export interface ByteRangesBody {
  readonly contentType: string
  readonly length: number
  content(): AsyncIterable<Uint8Array>
}

export function byteRangesBody(
  file: OpenFile,
  ranges: readonly ByteRange[],
  mediaType: string,
  boundary: string = randomBytes(12).toString('hex'),
): ByteRangesBody {
  const heads = ranges.map((range) =>
    Buffer.from(
      `\r\n--${boundary}\r\nContent-Type: ${mediaType}\r\n` +
        `Content-Range: ${formatContentRange(range, file.size)}\r\n\r\n`,
    ),
  )
  const end = Buffer.from(`\r\n--${boundary}--\r\n`)
  const headBytes = heads.reduce((sum, head) => sum + head.length, end.length)
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    length: ranges.reduce((sum, range) => sum + lengthOf(range), headBytes),
    async *content() {
      for (const [i, range] of ranges.entries()) {
        yield heads[i] ?? end
        yield* file.read(range.first, range.last + 1)
      }
      yield end
    },
  }
}
