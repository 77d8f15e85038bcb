import { type FileInfo, fileInfoOf } from './file-info.ts'

/** A file that is on its way. Read it once, by one of its members; `cancel` when it is not wanted. */
export class FileDownload implements FileInfo {
  readonly size: number | undefined
  readonly etag: string | undefined
  readonly sha256: string | undefined
  readonly contentType: string | undefined
  readonly modified: Date | undefined
  /** The content, or the range that was asked for. */
  readonly stream: ReadableStream<Uint8Array>

  constructor(response: Response, stream: ReadableStream<Uint8Array>) {
    const { size, etag, sha256, contentType, modified } = fileInfoOf(response)
    this.size = size
    this.etag = etag
    this.sha256 = sha256
    this.contentType = contentType
    this.modified = modified
    this.stream = stream
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await new Response(this.stream).arrayBuffer())
  }

  text(): Promise<string> {
    return new Response(this.stream).text()
  }

  json(): Promise<unknown> {
    return new Response(this.stream).json()
  }

  cancel(): Promise<void> {
    return this.stream.cancel()
  }
}
