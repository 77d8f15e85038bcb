/** Content to store. A function is asked for a new stream when an upload must be repeated. */
export type UploadContent =
  | string
  | Uint8Array<ArrayBuffer>
  | Blob
  | ReadableStream<Uint8Array>
  | (() => ReadableStream<Uint8Array>)

/** Told as bytes are handed to the network. `totalBytes` is undefined for a stream. */
export type UploadProgress = (sentBytes: number, totalBytes: number | undefined) => void

export interface UploadBody {
  readonly isRepeatable: boolean
  readonly sizeBytes: number | undefined
  open(): Blob | ReadableStream<Uint8Array>
}

export function uploadBody(content: UploadContent, onProgress?: UploadProgress): UploadBody {
  if (content instanceof ReadableStream || typeof content === 'function') {
    const open = typeof content === 'function' ? content : () => content
    return {
      isRepeatable: typeof content === 'function',
      sizeBytes: undefined,
      open: () => (onProgress ? counted(open(), undefined, onProgress) : open()),
    }
  }
  const blob = content instanceof Blob ? content : new Blob([content])
  const { size } = blob
  // Browsers send a stream over HTTP/2 only, if at all: there a blob stays one, without progress.
  const isCounted = onProgress !== undefined && !('XMLHttpRequest' in globalThis)
  return {
    isRepeatable: true,
    sizeBytes: size,
    open: () => (isCounted ? counted(blob.stream(), size, onProgress) : blob),
  }
}

function counted(
  stream: ReadableStream<Uint8Array>,
  totalBytes: number | undefined,
  onProgress: UploadProgress,
): ReadableStream<Uint8Array> {
  let sentBytes = 0
  onProgress(0, totalBytes)
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sentBytes += chunk.length
      onProgress(sentBytes, totalBytes)
      controller.enqueue(chunk)
    },
  })
  return stream.pipeThrough(counter)
}
