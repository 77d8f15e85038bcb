import { NetworkError } from '../http/network-error.ts'

export interface ResumingSource {
  readonly first: ReadableStream<Uint8Array> | null
  /** The rest of the same content after `received` bytes; undefined when it cannot be had in parts. */
  readonly reopen: ((received: number) => Promise<ReadableStream<Uint8Array> | null>) | undefined
  readonly signal: AbortSignal
  /** How often in a row it is reopened without a byte received. */
  readonly retries: number
}

/**
 * A download that goes on where it broke off. Fails with a `NetworkError` when it cannot, with what
 * `reopen` throws (`PRECONDITION_FAILED`: the file is another one now), or with the signal's reason.
 */
export function resumingStream(source: ResumingSource): ReadableStream<Uint8Array> {
  let reader = source.first?.getReader()
  let received = 0
  let barren = 0

  async function read(): Promise<Uint8Array | undefined> {
    for (;;) {
      try {
        const { done, value } = (await reader?.read()) ?? { done: true }
        if (done) return undefined
        received += value.length
        barren = 0
        return value
      } catch (cause) {
        source.signal.throwIfAborted()
        barren += 1
        if (source.reopen === undefined || barren > source.retries) {
          throw new NetworkError('the download broke off', { cause })
        }
        reader = (await source.reopen(received))?.getReader()
      }
    }
  }

  return new ReadableStream(
    {
      async pull(controller) {
        const chunk = await read()
        if (chunk === undefined) controller.close()
        else controller.enqueue(chunk)
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    // Nothing is read ahead of the consumer: the layers below hold enough.
    { highWaterMark: 0 },
  )
}
