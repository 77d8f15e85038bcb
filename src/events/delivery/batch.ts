import type { StoredEvent } from '../log/event-log.ts'
import type { Encoding } from './encoding.ts'

/** Events that leave together; encoded once, however many connections they go to. */
export class Batch {
  readonly events: readonly StoredEvent[]
  /** The offset up to which a connection that was given this batch is complete. */
  readonly through: number
  readonly #encoding: Encoding
  readonly #epoch: string
  #bytes: Buffer | undefined

  constructor(
    events: readonly StoredEvent[],
    through: number,
    { encoding, epoch }: { readonly encoding: Encoding; readonly epoch: string },
  ) {
    this.events = events
    this.through = through
    this.#encoding = encoding
    this.#epoch = epoch
  }

  get bytes(): Buffer {
    this.#bytes ??= this.#encoding.encode(this.events, this.#epoch)
    return this.#bytes
  }
}
