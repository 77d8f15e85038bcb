import { BrokerError } from '../../protocol/problem.ts'
import type { Connection } from '../connection.ts'
import { type BrokerRequest, HttpRequests } from '../http/http-requests.ts'
import { NetworkError } from '../http/network-error.ts'
import { directoryUrl, fileUrl } from '../http/resource-url.ts'
import { reprDigest } from './content-digest.ts'
import { FileDownload } from './file-download.ts'
import type { FileEntry, FileListing } from './file-entry.ts'
import { type FileInfo, fileInfoOf } from './file-info.ts'
import { resumingStream } from './resuming-stream.ts'
import { type UploadContent, type UploadProgress, uploadBody } from './upload-body.ts'

export interface FileOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ConditionOptions extends FileOptions {
  /** An ETag with its quotes: only when the file has it. */
  readonly ifMatch?: string | undefined
}

export interface PutOptions extends ConditionOptions {
  /** `*`: only when there is no file yet. */
  readonly ifNoneMatch?: '*' | undefined
  /** Default `application/octet-stream`. */
  readonly contentType?: string | undefined
  /** Of the content, in hex: the broker refuses what arrives as something else. */
  readonly sha256?: string | undefined
  /** Bytes, when `content` is a stream of known length. */
  readonly size?: number | undefined
  readonly onProgress?: UploadProgress | undefined
}

export interface GetOptions extends ConditionOptions {
  /** Bytes from `start` to `end` inclusive, or to the last one. */
  readonly range?: { readonly start: number; readonly end?: number } | undefined
}

export interface ListOptions extends FileOptions {
  /** Files at any depth. */
  readonly recursive?: boolean | undefined
}

export interface StoredFile {
  readonly path: string
  readonly size: number
  /** Lower-case hex. */
  readonly sha256: string
  /** With its quotes. */
  readonly etag: string
  /** The place of the event that tells it; absent when the same content was there before. */
  readonly position?: string | null
}

/** Stores, collects, lists and deletes files. Paths are plain, e.g. `builds/app/1.2/app.tgz`. */
export class FilesClient {
  readonly #connection: Connection
  readonly #requests: HttpRequests

  constructor(connection: Connection) {
    this.#connection = connection
    this.#requests = new HttpRequests(connection)
  }

  /**
   * Stores `content` at `path`; when it resolves it is durable. Repeated after a failure unless the content
   * is a stream, or a condition leaves open which of the two attempts met it.
   *
   * @throws {BrokerError} `PRECONDITION_FAILED`, `DIGEST_MISMATCH`, `TOO_LARGE`, `STORAGE_FULL`, `FORBIDDEN`, ...
   */
  put(path: string, content: UploadContent, options: PutOptions = {}): Promise<StoredFile> {
    const { ifMatch, ifNoneMatch, sha256, contentType = 'application/octet-stream' } = options
    const body = uploadBody(content, options.onProgress)
    const size = body.sizeBytes ?? options.size
    const isConditional = ifMatch !== undefined || ifNoneMatch !== undefined
    return this.#requests.sendForJson({
      method: 'PUT',
      target: fileUrl(path),
      headers: {
        'content-type': contentType,
        // Browsers set it by themselves and take no notice of this one.
        ...(size !== undefined && { 'content-length': String(size) }),
        ...(sha256 !== undefined && { 'repr-digest': reprDigest(sha256) }),
        ...(ifMatch !== undefined && { 'if-match': ifMatch }),
        ...(ifNoneMatch !== undefined && { 'if-none-match': ifNoneMatch }),
      },
      body: () => body.open(),
      repeat: !body.isRepeatable ? 'never' : isConditional ? 'refused' : 'always',
      signal: options.signal,
    })
  }

  /**
   * Collects a file. A download that breaks off goes on where it was, as long as the file is the same.
   *
   * @throws {BrokerError} `NOT_FOUND`, `PATH_CONFLICT` for a directory, `PRECONDITION_FAILED`, `RANGE_NOT_SATISFIABLE`, `FORBIDDEN`, ...
   */
  async get(path: string, options: GetOptions = {}): Promise<FileDownload> {
    const { range, ifMatch, signal } = options
    const target = fileUrl(path)
    const ask = (headers: Record<string, string>) =>
      this.#requests.send({ method: 'GET', target, file: path, headers, repeat: 'always', signal })
    const response = await ask({
      accept: '*/*',
      ...(range !== undefined && { range: rangeHeader(range.start, range.end) }),
      ...(ifMatch !== undefined && { 'if-match': ifMatch }),
    })
    const etag = response.headers.get('etag')
    const start = range?.start ?? 0
    const reopen = async (received: number) => {
      const rest = rangeHeader(start + received, range?.end)
      const headers = { accept: '*/*', range: rest, 'if-match': String(etag) }
      const answer = await ask(headers)
      if (answer.status === 206) return answer.body
      throw new NetworkError('the download broke off and could not be continued')
    }
    const ends = [this.#connection.signal, ...(signal ? [signal] : [])]
    const stream = resumingStream({
      first: response.body,
      reopen: etag === null ? undefined : reopen,
      signal: AbortSignal.any(ends),
      retries: this.#connection.retries,
    })
    return new FileDownload(response, stream)
  }

  /** What is known of a file, without its content. */
  async head(path: string, options: ConditionOptions = {}): Promise<FileInfo> {
    const request = this.#conditional('HEAD', fileUrl(path), options)
    return fileInfoOf(await this.#requests.send({ ...request, file: path, repeat: 'always' }))
  }

  /** What is in a directory, in the order of names; `''` for the top. Pages are fetched as they are needed. */
  async *list(directory = '', options: ListOptions = {}): AsyncGenerator<FileEntry, void> {
    const base = directoryUrl(directory)
    const recursive = options.recursive ? ['recursive'] : []
    let cursor: string | null = null
    do {
      const query = [
        ...recursive,
        ...(cursor !== null ? [`cursor=${encodeURIComponent(cursor)}`] : []),
      ]
      const target: string = query.length === 0 ? base : `${base}?${query.join('&')}`
      const page: FileListing = await this.#requests.sendForJson({
        method: 'GET',
        target,
        repeat: 'always',
        signal: options.signal,
      })
      yield* page.entries
      cursor = page.next
    } while (cursor !== null)
  }

  /** @throws {BrokerError} `NOT_FOUND`, `PRECONDITION_FAILED`, `FORBIDDEN`, ... */
  delete(path: string, options: ConditionOptions = {}): Promise<void> {
    return this.#delete(this.#conditional('DELETE', fileUrl(path), options))
  }

  /** Deletes every file below a directory. */
  deleteDirectory(directory: string, { signal }: FileOptions = {}): Promise<void> {
    const target = `${directoryUrl(directory)}?recursive`
    return this.#delete(this.#conditional('DELETE', target, { signal }))
  }

  /** After a lost answer the file may be gone by the first attempt: then it is no failure. */
  async #delete(request: Omit<BrokerRequest, 'repeat'>): Promise<void> {
    let isInDoubt = false
    const onDoubt = () => {
      isInDoubt = true
    }
    try {
      await this.#requests.send({ ...request, repeat: 'always', onDoubt })
    } catch (error) {
      if (isInDoubt && error instanceof BrokerError && error.code === 'NOT_FOUND') return
      throw error
    }
  }

  #conditional(
    method: string,
    target: string,
    { ifMatch, signal }: ConditionOptions,
  ): Omit<BrokerRequest, 'repeat'> {
    const headers = ifMatch === undefined ? {} : { 'if-match': ifMatch }
    return { method, target, headers, signal }
  }
}

function rangeHeader(start: number, end: number | undefined): string {
  return `bytes=${start}-${end ?? ''}`
}
