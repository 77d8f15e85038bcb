import { statedSha256 } from './content-digest.ts'

/** What the headers of an answer say of a file. */
export interface FileInfo {
  /** Bytes of the whole file. */
  readonly size: number | undefined
  /** With its quotes; undefined while the broker has not hashed the file. */
  readonly etag: string | undefined
  /** Of the whole file, lower-case hex. */
  readonly sha256: string | undefined
  readonly contentType: string | undefined
  readonly modified: Date | undefined
}

export function fileInfoOf({ headers }: Response): FileInfo {
  const modified = headers.get('last-modified')
  return {
    size: wholeSize(headers),
    etag: headers.get('etag') ?? undefined,
    sha256: statedSha256(headers),
    contentType: headers.get('content-type') ?? undefined,
    modified: modified === null ? undefined : new Date(modified),
  }
}

/** Of a range the header `Content-Range: bytes 0-9/1000` tells the whole. */
function wholeSize(headers: Headers): number | undefined {
  const ofRange = /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1]
  const digits = ofRange ?? (headers.has('content-range') ? null : headers.get('content-length'))
  return digits === null ? undefined : Number(digits)
}
